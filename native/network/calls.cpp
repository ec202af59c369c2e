#include "network/calls.hpp"

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

}  // namespace

void check_labels(const std::vector<int32_t>& labels, int64_t images, int64_t classes) {
  if (static_cast<int64_t>(labels.size()) != images)
    throw Error(kShapeMismatch, "Expected one label for each of " + std::to_string(images) + " images but received " +
                                    std::to_string(labels.size()));
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= classes)
      throw Error(kInvalidArgument, "Expected labels from 0 to " + std::to_string(classes - 1) + " but label " +
                                        std::to_string(i) + " is " + std::to_string(labels[i]));
}

void check_size(const std::string& what, const HostTensor& given, const Shape& wanted) {
  if (count_of(given.dimensions) == wanted.count() && !given.dimensions.empty() && given.dimensions.front() == wanted.n) return;
  throw Error(kShapeMismatch, "Expected shape " + wanted.text() + " for " + what + " but received " + text(given.dimensions));
}

}  // namespace vggnet
