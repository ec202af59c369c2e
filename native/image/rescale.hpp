#pragma once
// Computes a crop of a rescaled image with a triangle kernel widened to the scale (bilinear with antialiasing, as in Pillow
// and torchvision). Only the crop is computed, in integers: the same bytes on every processor.
#include <cstdint>
#include <vector>

namespace vggnet {

// One axis of a rescaled image, and the crop along it.
struct Axis {
  int64_t source;       // number of source pixels
  double extent;        // exact length in source pixels: a JPEG halved by the decoder can have half a pixel less than `source`
  int64_t size;         // number of pixels of the rescaled image
  int64_t from, count;  // first pixel and number of pixels of the crop
};

// The source pixels of each pixel of a crop, with their weights.
struct Taps {
  int64_t from, until;           // range of source pixels that the crop needs; weights outside are 0
  int each;                      // number of weights for each pixel, even
  std::vector<int32_t> first;    // [count]: first source pixel of each pixel
  std::vector<int16_t> weights;  // [count, each]: for the source pixels from `first` on; their sum is 1 << 14
};

Taps taps_of(const Axis&);

// A rectangle of an image: uint8 [rows, columns, channels].
struct PixelBlock {
  const uint8_t* pixels;
  int64_t row_bytes;
  int64_t top, left, bottom, right;  // within the image
};

// block: contains the source pixels of rows and columns; channels: 1 or 3; into: uint8 [rows, columns, channels] of the crop.
void rescale(const PixelBlock& block, const Taps& rows, const Taps& columns, int channels, uint8_t* into);

}  // namespace vggnet
