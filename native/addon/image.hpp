#pragma once
// Decodes and rescales images on libuv's threads. The pixels are written to the array `into` of the call.
#include <napi.h>

namespace vggnet::addon {

// Decodes the crop of a JPEG. The bytes are copied.
Napi::Value decode_jpeg(const Napi::CallbackInfo&);

// Computes the crop of pixels, which must not change until the promise settles.
Napi::Value rescale(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
