#pragma once
#include <napi.h>

namespace vggnet::addon {

// Plans a network at one input shape, allocating nothing of it: stages, tensors with their lifetime and offset, bytes.
Napi::Value describe(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
