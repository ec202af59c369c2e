#include "network/calls.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "tensor/error.hpp"

namespace vggnet {
namespace {

std::string text(const std::vector<int64_t>& dimensions) {
  std::string result;
  for (int64_t size : dimensions) result += (result.empty() ? "[" : ", ") + std::to_string(size);
  return result + "]";
}

int64_t count_of(const std::vector<int64_t>& dimensions) {
  int64_t count = 1;
  for (int64_t size : dimensions) count *= size;
  return count;
}

std::optional<int64_t> first_not_finite(const float* values, int64_t count) {
  uint32_t largest = 0;  // exponent of any value: all ones where one is not finite
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7f800000u);
  if (largest < 0x7f800000u) return std::nullopt;
  return std::find_if_not(values, values + count, [](float value) { return std::isfinite(value); }) - values;
}

}  // namespace

void check_labels(const std::vector<int32_t>& labels, const Shape& logits, const Shape& images) {
  if (logits.h != 1 || logits.w != 1)
    throw Error(kShapeMismatch, "Expected one score for each class for the loss but the network's output has shape " +
                                    logits.text() +
                                    " (n, c, h, w) for images of " + std::to_string(images.h) + "x" + std::to_string(images.w) +
                                    ": give images of the size that the network was created for, "
                                    "put a spatial-mean last, or give a gradient");
  if (static_cast<int64_t>(labels.size()) != logits.n)
    throw Error(kShapeMismatch, "Expected one label for each of " + std::to_string(logits.n) +
                                    " images but received " + std::to_string(labels.size()));
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= logits.c)
      throw Error(kInvalidArgument, "Expected labels from 0 to " + std::to_string(logits.c - 1) + " but label " +
                                        std::to_string(i) + " is " + std::to_string(labels[i]));
}

void check_finite(const std::string& what, const float* values, int64_t count) {
  const auto bad = first_not_finite(values, count);
  if (bad) throw Error(kNotFinite, "Expected finite values for " + what + " but value " + std::to_string(*bad) + " is " + std::to_string(values[*bad]));
}

void check_finite(const Images& images) {
  if (images.dtype != DType::float32) return;
  const auto* values = reinterpret_cast<const float*>(images.bytes.data());
  const auto bad = first_not_finite(values, images.shape.count());
  if (!bad) return;
  const auto& [n, c, h, w] = images.shape;
  const int64_t plane = *bad / (h * w), row = *bad / w % h, column = *bad % w;
  const std::string what = images.from.empty() ? "images but the pixel" : "'" + images.from + "' but the value";
  throw Error(kNotFinite, "Expected finite values for " + what + " at row " + std::to_string(row) + ", column " +
                              std::to_string(column) + " in channel " + std::to_string(plane % c) + " of image " +
                              std::to_string(plane / c) + " (all counted from 0) is " + std::to_string(values[*bad]) +
                              (images.from.empty() ? ": pixels are from 0 to 255" : ""));
}

void check_shift(const Images& images) {
  const auto bad = first_not_finite(images.shift.data(), std::ssize(images.shift));
  if (!bad) return;
  throw Error(kNotFinite, "Expected finite values for augment.shift but that of image " + std::to_string(*bad / images.shape.c) +
                              ", channel " + std::to_string(*bad % images.shape.c) + " is " + std::to_string(images.shift[*bad]));
}

void check_size(const std::string& what, const HostTensor& given, const Shape& wanted) {
  if (count_of(given.dimensions) == wanted.count() && !given.dimensions.empty() && given.dimensions.front() == wanted.n) return;
  throw Error(kShapeMismatch, "Expected shape " + wanted.text() + " for " + what + " but received " + text(given.dimensions));
}

}  // namespace vggnet
