#include "addon/image.hpp"

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/convert.hpp"
#include "addon/pool_work.hpp"
#include "image/jpeg.hpp"
#include "image/rescale.hpp"

namespace vggnet::addon {
namespace {

// Above it, products of sides would not be exact, and pixel indices would not fit into 32 bits.
constexpr int64_t kLongestSide = 1 << 24;

// Computes pixels, and copies them into an array at the end. Until then the caller may transfer the memory of the array.
class PixelWork final : public PoolWork {
 public:
  using Fill = std::function<void(uint8_t*)>;

  PixelWork(Napi::Env env, const Napi::Uint8Array& into, Fill fill)
      : PoolWork(env), fill_(std::move(fill)), size_(into.ByteLength()), into_(Napi::Persistent(into)) {}

  // Keeps a value alive until the promise settles.
  void keep(const Napi::Object& value) { kept_ = Napi::Persistent(value); }

 private:
  void compute() override {
    pixels_ = std::make_unique_for_overwrite<uint8_t[]>(size_);
    fill_(pixels_.get());
  }

  void resolve() override {
    Napi::Uint8Array into = into_.Value();
    if (into.ByteLength() != size_) {
      deferred_.Reject(make_error(Env(), kInvalidArgument,
                                  "Expected an array whose memory is not transferred before its pixels are written"));
      return;
    }
    std::memcpy(into.Data(), pixels_.get(), size_);
    deferred_.Resolve(Env().Undefined());
  }

  Fill fill_;
  const size_t size_;
  Napi::Reference<Napi::Uint8Array> into_;
  Napi::ObjectReference kept_;
  std::unique_ptr<uint8_t[]> pixels_;
};

int64_t side_of(const Napi::Object& given, const char* field) {
  const int64_t side = count_of(given, field);
  if (side == 0 || side > kLongestSide)
    throw Error(kInvalidArgument, std::string("Expected 1 to ") + std::to_string(kLongestSide) + " for " + field +
                                      " but received " + std::to_string(side));
  return side;
}

Crop crop_of(const Napi::Object& given) {
  const Napi::Object source = object_of(given, "source"), box = object_of(given, "box"), crop = object_of(given, "crop");
  const Crop result{
      side_of(source, "height"), side_of(source, "width"), side_of(box, "height"),
      side_of(box, "width"),     count_of(box, "top"),     count_of(box, "left"),
      side_of(crop, "height"),   side_of(crop, "width"),   static_cast<int>(count_of(crop, "channels"))};
  if (result.channels != 1 && result.channels != 3)
    throw Error(kInvalidArgument, "Expected 1 or 3 for channels but received " + std::to_string(result.channels));
  if (result.top > result.height - result.crop_height || result.left > result.width - result.crop_width)
    throw Error(kShapeMismatch, "Expected a crop within the rescaled image");
  return result;
}

Napi::Uint8Array bytes_of(const Napi::Object& given, const char* field) {
  const Napi::Value value = given.Get(field);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    throw Error(kInvalidArgument, std::string("Expected a Uint8Array for ") + field);
  return value.As<Napi::Uint8Array>();
}

Napi::Uint8Array bytes_of(const Napi::Object& given, const char* field, int64_t wanted) {
  const Napi::Uint8Array array = bytes_of(given, field);
  if (static_cast<int64_t>(array.ByteLength()) != wanted)
    throw Error(kShapeMismatch, "Expected " + std::to_string(wanted) + " bytes for " + field + " but received " +
                                    std::to_string(array.ByteLength()));
  return array;
}

Napi::Uint8Array target_of(const Napi::Object& given, const Crop& crop) {
  return bytes_of(given, "into", crop.crop_height * crop.crop_width * crop.channels);
}

}  // namespace

Napi::Value decode_jpeg(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object given = object_of(info);
    const Crop crop = crop_of(given);
    const int64_t memory_limit = count_of(given, "memoryLimit");
    const Napi::Uint8Array array = bytes_of(given, "bytes");
    // A copy, because the caller may change or transfer the bytes meanwhile.
    std::vector<uint8_t> bytes(array.Data(), array.Data() + array.ByteLength());
    const auto decode = [crop, memory_limit, bytes = std::move(bytes)](uint8_t* into) {
      vggnet::decode_jpeg(bytes.data(), bytes.size(), crop, memory_limit, into);
    };
    auto* work = new PixelWork(info.Env(), target_of(given, crop), decode);
    work->Queue();
    return work->promise();
  });
}

Napi::Value rescale(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object given = object_of(info);
    const Crop crop = crop_of(given);
    const Napi::Uint8Array array = bytes_of(given, "pixels", crop.source_height * crop.source_width * crop.channels);
    auto* work = new PixelWork(info.Env(), target_of(given, crop), [crop, pixels = array.Data()](uint8_t* into) {
      const auto axis = [](int64_t source, int64_t size, int64_t from, int64_t count) {
        return Axis{source, static_cast<double>(source), size, from, count};
      };
      const PixelBlock all{pixels, crop.source_width * crop.channels, 0, 0, crop.source_height, crop.source_width};
      vggnet::rescale(all, taps_of(axis(crop.source_height, crop.height, crop.top, crop.crop_height)),
                      taps_of(axis(crop.source_width, crop.width, crop.left, crop.crop_width)), crop.channels, into);
    });
    work->keep(array);
    work->Queue();
    return work->promise();
  });
}

}  // namespace vggnet::addon
