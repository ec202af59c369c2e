#pragma once
#include <napi.h>

namespace vggnet::addon {

// Plans a network at one input shape, allocating nothing of it: stages, tensors with their place in time and memory, bytes.
Napi::Value describe(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
