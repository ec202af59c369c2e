#pragma once
// Images, on libuv's threads. Their pixels go into an array that is given: `into`.
#include <napi.h>

namespace vggnet::addon {

// The crop of a JPEG: bytes, which are copied, and the fields of a crop.
Napi::Value decode_jpeg(const Napi::CallbackInfo&);

// The crop of pixels, which must stay as they are until the promise is settled, and the fields of a crop.
Napi::Value rescale(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
