// Crops of rescaled images: any sizes, crops and strides that the addon lets through, compared with plain loops.
#include "image/rescale.hpp"

#include <memory>
#include <numeric>
#include <vector>

#include "target.hpp"

namespace vggnet {
namespace {

constexpr int64_t kLongestSide = 1 << 24, kLongestSource = 1 << 17, kMostPixels = 1 << 13;
constexpr int64_t kMostRead = 1 << 22;  // source pixels of all lines: more take many seconds with sanitizers

// The axis of an image that the decoder may have shrunk, and a range of it.
Axis axis_of(fuzz::Bytes& bytes, int64_t most_source, int64_t most_count) {
  const int64_t whole = bytes.side(most_source), denominator = int64_t{1} << bytes.byte() % 4;
  Axis axis{(whole + denominator - 1) / denominator, static_cast<double>(whole) / static_cast<double>(denominator), 0, 0, 0};
  axis.size = bytes.side(kLongestSide);
  axis.count = bytes.side(std::min(axis.size, most_count));
  axis.from = bytes.side(axis.size - axis.count + 1) - 1;
  return axis;
}

void check_taps(const Axis& axis, const Taps& taps) {
  REQUIRE(std::ssize(taps.first) == axis.count && taps.each >= 2 && taps.each % 2 == 0);
  REQUIRE(std::ssize(taps.weights) == axis.count * taps.each);
  REQUIRE(0 <= taps.from && taps.from < taps.until && taps.until <= axis.source);
  for (int64_t pixel = 0; pixel < axis.count; ++pixel) {
    const int16_t* weights = taps.weights.data() + pixel * taps.each;
    REQUIRE(taps.from <= taps.first[pixel] && taps.first[pixel] < taps.until);
    REQUIRE(std::accumulate(weights, weights + taps.each, 0) == 1 << 14);
    for (int tap = 0; tap < taps.each; ++tap)
      REQUIRE(weights[tap] >= 0 && (weights[tap] == 0 || taps.first[pixel] + tap < taps.until));
  }
}

uint8_t by_loops(const PixelBlock& block, const Taps& rows, const Taps& columns, int channels, int64_t row, int64_t column,
                 int channel) {
  int64_t sum = 1 << 20;
  for (int across = 0; across < columns.each; ++across) {
    const int64_t weight = columns.weights[column * columns.each + across], x = columns.first[column] + across;
    if (weight == 0) continue;
    int64_t line = 1 << 6;
    for (int down = 0; down < rows.each; ++down) {
      const int64_t y = rows.first[row] + down;
      const int16_t each = rows.weights[row * rows.each + down];
      if (each > 0) line += each * block.pixels[(y - block.top) * block.row_bytes + (x - block.left) * channels + channel];
    }
    sum += weight * (line >> 7);
  }
  return static_cast<uint8_t>(sum >> 21);
}

}  // namespace
}  // namespace vggnet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vggnet;
  fuzz::Bytes bytes(data, size);
  const int channels = bytes.byte() % 2 ? 3 : 1;
  const Axis down = axis_of(bytes, kLongestSource, kMostPixels);
  const Taps rows = taps_of(down);
  check_taps(down, rows);
  // the other side so short that the pixels are few
  const int64_t height = rows.until - rows.from;
  const int64_t most_source = std::min(kLongestSource / height, kMostRead / down.count);
  const Axis across = axis_of(bytes, std::max<int64_t>(most_source, 1), std::max<int64_t>(kMostPixels / down.count, 1));
  const Taps columns = taps_of(across);
  check_taps(across, columns);

  // exactly the pixels that are needed, or some more on each side, in rows that may be padded
  PixelBlock block{nullptr, 0, rows.from, columns.from, rows.until, columns.until};
  if (bytes.byte() % 2) block.top -= std::min<int64_t>(block.top, bytes.byte());
  if (bytes.byte() % 2) block.left -= std::min<int64_t>(block.left, bytes.byte());
  block.row_bytes = (block.right - block.left) * channels + bytes.byte() % 17;
  const int64_t count = (block.bottom - block.top - 1) * block.row_bytes + (block.right - block.left) * channels;
  const auto pixels = std::make_unique<uint8_t[]>(count);
  uint32_t state = bytes.take<uint32_t>() | 1;
  const bool flat = state % 8 == 1;
  for (int64_t i = 0; i < count; ++i) pixels[i] = static_cast<uint8_t>(flat ? state : (state = state * 1664525 + 1013904223) >> 24);
  block.pixels = pixels.get();

  const int64_t length = down.count * across.count * channels;
  const auto got = std::make_unique_for_overwrite<uint8_t[]>(length);
  rescale(block, rows, columns, channels, got.get());
  // a few of them; of a flat image all
  for (int64_t i = 0; i < length; i += flat ? 1 : 1 + length / 64) {
    const int64_t pixel = i / channels;
    REQUIRE(!flat || got[i] == pixels[0]);
    if (flat) continue;
    REQUIRE(got[i] == by_loops(block, rows, columns, channels, pixel / across.count, pixel % across.count, i % channels));
  }
  return 0;
}
