#pragma once
// Decodes the crop of a rescaled JPEG, and only the part of the JPEG that the crop needs.
#include <cstddef>
#include <cstdint>

namespace vggnet {

// A crop of a rescaled image, in pixels.
struct Crop {
  int64_t source_height, source_width;
  int64_t height, width;  // of the rescaled image
  int64_t top, left;      // of the crop within the rescaled image
  int64_t crop_height, crop_width;
  int channels;  // 1 or 3
};

// The version of libjpeg-turbo.
const char* jpeg_library();

// Decodes an 8-bit JPEG, grey or in colours that are converted to RGB. Throws FILE_FORMAT at any error or warning, if the
// size is not that of the crop's source, if the library has no memory, and if its coefficients take more than `memory_limit`
// bytes.
// into: uint8 [crop_height, crop_width, channels].
void decode_jpeg(const uint8_t* bytes, size_t size, const Crop& crop, int64_t memory_limit, uint8_t* into);

}  // namespace vggnet
