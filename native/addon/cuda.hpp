#pragma once
#include <napi.h>

namespace vggnet::addon {

// Where CUDA's libraries are to be looked for: library, noLibrary, folders, filesCure.
Napi::Value set_cuda_locations(const Napi::CallbackInfo&);

// Which of NVIDIA's libraries the given folders hold; opens none.
Napi::Value find_cuda_files(const Napi::CallbackInfo&);

// Driver, library and cards, each with what is in its way; loads what can be loaded and throws nothing.
Napi::Value cuda_report(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
