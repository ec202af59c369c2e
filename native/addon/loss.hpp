#pragma once
// Losses with gradients, and the products of linear classifiers, on threads of libuv's pool. Arrays are not copied: they must not change until the promise is settled.
#include <napi.h>

namespace vggnet::addon {

Napi::Value squared_error(const Napi::CallbackInfo&);
Napi::Value gram_matrices(const Napi::CallbackInfo&);
Napi::Value gram_error(const Napi::CallbackInfo&);
Napi::Value lpips_error(const Napi::CallbackInfo&);
Napi::Value total_variation(const Napi::CallbackInfo&);
Napi::Value row_products(const Napi::CallbackInfo&);
Napi::Value column_products(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
