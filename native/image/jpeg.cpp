#include "image/jpeg.hpp"

#include <algorithm>
#include <memory>

#include "image/rescale.hpp"
#include "image/turbojpeg.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

using namespace turbojpeg;

// A small progressive file can contain thousands of scans of a large image. lib/data/images/decode.ts has the same limit.
constexpr int kMostScans = 100;

// The library takes a number of megabytes; 0 would mean no limit.
constexpr int64_t kMostMegabytes = 1 << 30;

class Decoder {
 public:
  Decoder() : handle_(tj3Init(kDecompress)) {
    if (!handle_) throw Error(kFileFormat, tj3GetErrorStr(nullptr));
  }
  ~Decoder() { tj3Destroy(handle_); }
  Decoder(const Decoder&) = delete;

  void check(int status) const {
    if (status != 0) throw Error(kFileFormat, tj3GetErrorStr(handle_));
  }
  void set(turbojpeg::Parameter parameter, int value) const { check(tj3Set(handle_, parameter, value)); }
  int get(turbojpeg::Parameter parameter) const { return tj3Get(handle_, parameter); }
  void* handle() const { return handle_; }

 private:
  void* handle_;
};

// The factor by which the decoder shrinks the image, chosen as in sharp, so that both give nearly the same image.
int denominator_of(const Crop& crop) {
  const double shrink = std::min(static_cast<double>(crop.source_width) / static_cast<double>(crop.width),
                                 static_cast<double>(crop.source_height) / static_cast<double>(crop.height));
  const int denominator = shrink >= 8 ? 8 : shrink >= 4 ? 4 : shrink >= 2 ? 2 : 1;
  return denominator > 1 && static_cast<int>(shrink) == denominator ? denominator / 2 : denominator;
}

// Width of an iMCU in pixels; 0 if the image cannot be decoded in parts.
int imcu_width(int subsampling) {
  switch (subsampling) {
    case k444:
    case kGrey:
    case k440:
      return 8;
    case k422:
    case k420:
      return 16;
    default:
      return 0;
  }
}

// The region to decode for some rows and columns of the scaled image. Subsampled colours are smoothed across iMCUs: with one
// more iMCU on each side, the bytes are those of the whole image.
Region region_of(const Taps& rows, const Taps& columns, int64_t height, int64_t width, int imcu) {
  if (imcu == 0) return {0, 0, static_cast<int>(width), static_cast<int>(height)};
  const int64_t left = std::max<int64_t>(columns.from / imcu - 1, 0) * imcu;
  const int64_t right = std::min<int64_t>(((columns.until + imcu - 1) / imcu + 1) * imcu, width);
  return {static_cast<int>(left), static_cast<int>(rows.from), static_cast<int>(right - left),
          static_cast<int>(rows.until - rows.from)};
}

}  // namespace

const char* jpeg_library() { return VGGNET_LIBJPEG_TURBO; }

void decode_jpeg(const uint8_t* bytes, size_t size, const Crop& crop, int64_t memory_limit, uint8_t* into) {
  const Decoder decoder;
  decoder.set(kStopOnWarning, 1);
  decoder.set(kScanLimit, kMostScans);
  decoder.set(kMaxMegabytes, static_cast<int>(std::clamp<int64_t>(memory_limit >> 20, 1, kMostMegabytes)));
  decoder.check(tj3DecompressHeader(decoder.handle(), bytes, size));
  if (decoder.get(kWidth) != crop.source_width || decoder.get(kHeight) != crop.source_height)
    throw Error(kFileFormat, "the library reads another size");

  const int denominator = denominator_of(crop);
  const auto scaled = [&](int64_t side) { return (side + denominator - 1) / denominator; };
  const auto axis = [&](int64_t source, int64_t side, int64_t from, int64_t count) {
    return Axis{scaled(source), static_cast<double>(source) / denominator, side, from, count};
  };
  const Taps rows = taps_of(axis(crop.source_height, crop.height, crop.top, crop.crop_height));
  const Taps columns = taps_of(axis(crop.source_width, crop.width, crop.left, crop.crop_width));
  const Region region = region_of(rows, columns, scaled(crop.source_height), scaled(crop.source_width),
                                  imcu_width(decoder.get(kSubsampling)) / denominator);
  decoder.check(tj3SetScalingFactor(decoder.handle(), {1, denominator}));
  // A cropping region is an error if the library knows no iMCU, even for the whole image.
  if (region.width != scaled(crop.source_width) || region.height != scaled(crop.source_height))
    decoder.check(tj3SetCroppingRegion(decoder.handle(), region));

  const int64_t row_bytes = static_cast<int64_t>(region.width) * crop.channels;
  const auto pixels = std::make_unique_for_overwrite<uint8_t[]>(row_bytes * region.height);
  decoder.check(tj3Decompress8(decoder.handle(), bytes, size, pixels.get(), static_cast<int>(row_bytes),
                               crop.channels == 1 ? kGreyPixels : kRgb));
  rescale({pixels.get(), row_bytes, region.y, region.x, region.y + region.height, region.x + region.width}, rows, columns,
          crop.channels, into);
}

}  // namespace vggnet
