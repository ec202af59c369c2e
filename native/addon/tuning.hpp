#pragma once
#include <napi.h>

namespace vggnet::addon {

// The sizes that the CPU's convolutions go by, in bytes but for gradientBlock: of what is prepared from now on.
Napi::Value cpu_tuning(const Napi::CallbackInfo&);
Napi::Value set_cpu_tuning(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
