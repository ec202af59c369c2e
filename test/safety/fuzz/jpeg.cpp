// A JPEG, and after it a few bytes that choose the crop. Decoding it gives pixels, the same each time, or FILE_FORMAT.
#include "image/jpeg.hpp"

#include <memory>
#include <string>
#include <vector>

#include "image/turbojpeg.hpp"
#include "target.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr size_t kTrailer = 16;
constexpr int64_t kMostSourcePixels = 1 << 18, kMostCrop = 128;

// The size that the header declares, which the caller of decode_jpeg has read by itself; 0 where there is none.
std::pair<int64_t, int64_t> size_of(const uint8_t* bytes, size_t size) {
  using namespace turbojpeg;
  const std::unique_ptr<void, void (*)(void*)> decoder(tj3Init(kDecompress), tj3Destroy);
  if (tj3DecompressHeader(decoder.get(), bytes, size) != 0) return {0, 0};
  return {tj3Get(decoder.get(), kHeight), tj3Get(decoder.get(), kWidth)};
}

// Pixels over bytes of `before`; nothing where the file is refused.
std::vector<uint8_t> decoded(const uint8_t* bytes, size_t size, const Crop& crop, uint8_t before) {
  std::vector<uint8_t> pixels(crop.crop_height * crop.crop_width * crop.channels, before);
  try {
    decode_jpeg(bytes, size, crop, pixels.data());
    return pixels;
  } catch (const Error& error) {
    REQUIRE(error.code() == std::string(kFileFormat) || error.code() == std::string(kOutOfMemory));
    return {};
  }
}

}  // namespace
}  // namespace vggnet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vggnet;
  if (size < kTrailer) return 0;
  // a copy of just this size: what is read after its end is found
  const std::vector<uint8_t> file(data, data + size - kTrailer);
  fuzz::Bytes bytes(data + file.size(), kTrailer);
  auto [height, width] = size_of(file.data(), file.size());
  if (height * width > kMostSourcePixels) return 0;
  Crop crop{std::max<int64_t>(height, 1), std::max<int64_t>(width, 1), 0, 0, 0, 0, 0, 0, bytes.byte() % 2 ? 3 : 1};
  const auto range = [&](int64_t& size, int64_t& from, int64_t& count, int64_t source) {
    size = bytes.side(2 * source);
    count = bytes.side(std::min(size, kMostCrop));
    from = bytes.side(size - count + 1) - 1;
  };
  range(crop.height, crop.top, crop.crop_height, crop.source_height);
  range(crop.width, crop.left, crop.crop_width, crop.source_width);
  REQUIRE(decoded(file.data(), file.size(), crop, 0) == decoded(file.data(), file.size(), crop, 255));
  return 0;
}
