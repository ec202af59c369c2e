#pragma once
// Rescaling by a triangle kernel that is widened to the scale (bilinear with antialiasing, as in Pillow and torchvision),
// and only where a crop needs it. Integers only: the same bytes on every processor.
#include <cstdint>
#include <vector>

namespace vggnet {

// One axis of a rescaled image, and the part of it that is cropped.
struct Axis {
  int64_t source;  // pixels there are
  double extent;   // source pixels that become `size`: a JPEG halved while it was decoded may end with half a pixel too much
  int64_t size;    // of the rescaled image
  int64_t from, count;
};

// The source pixels behind each pixel of a crop.
struct Taps {
  int64_t from, until;           // what any of them needs: from <= first, and no weight but 0 from `until` on
  int each;                      // weights for a pixel, an even number
  std::vector<int32_t> first;    // count
  std::vector<int16_t> weights;  // count, each: from `first` on, 1 << 14 together
};

Taps taps_of(const Axis&);

// Some rows and columns of an image: uint8, rows, columns, channels.
struct PixelBlock {
  const uint8_t* pixels;
  int64_t row_bytes;
  int64_t top, left, bottom, right;  // within the image
};

// block: holds what rows and columns need; channels: 1 or 3; into: rows.count, columns.count, channels.
void rescale(const PixelBlock& block, const Taps& rows, const Taps& columns, int channels, uint8_t* into);

}  // namespace vggnet
