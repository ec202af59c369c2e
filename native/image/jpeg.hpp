#pragma once
// The crop of a rescaled JPEG, from no more of it than the crop needs.
#include <cstddef>
#include <cstdint>

namespace vggnet {

// A crop out of a rescaled image.
struct Crop {
  int64_t source_height, source_width;
  int64_t height, width;  // rescaled
  int64_t top, left;      // of the crop
  int64_t crop_height, crop_width;
  int channels;  // 1, 3
};

// The version of libjpeg-turbo.
const char* jpeg_library();

// Decodes what is an 8-bit JPEG in grey, or in colours that become RGB. Throws FILE_FORMAT where there is anything wrong
// with it, a warning included, where its size is not the crop's, and where the library has no memory.
// into: uint8 crop_height, crop_width, channels.
void decode_jpeg(const uint8_t* bytes, size_t size, const Crop& crop, uint8_t* into);

}  // namespace vggnet
