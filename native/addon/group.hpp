#pragma once
// The process's group of ranks, for JavaScript.
#include <napi.h>

namespace vggnet::addon {

Napi::Value open_group(const Napi::CallbackInfo&);     // ({ library, shimOpenmpi, shimMpich }) => Promise<{ rank, size, ... }>
Napi::Value gather_group(const Napi::CallbackInfo&);   // (text) => Promise<string[]>
Napi::Value sum_group(const Napi::CallbackInfo&);      // (Float32Array) => Promise<void>: the sums, in its place
Napi::Value fail_group(const Napi::CallbackInfo&);     // ({ code, message })
Napi::Value group_traffic(const Napi::CallbackInfo&);  // () => { sums, bytes, seconds, waited }
Napi::Value close_group(const Napi::CallbackInfo&);    // (seconds) => Promise<boolean>
Napi::Value quit(const Napi::CallbackInfo&);           // (exit code): ends the process without waiting for a thread of MPI

}  // namespace vggnet::addon
