#pragma once
// A lock that the kernel releases when the last descriptor of the open file is closed, however the process ends.
#include <napi.h>

namespace vggnet::addon {

// Takes the exclusive lock of an open file without waiting. Returns 0, or the number of the system's error: EAGAIN where
// another open file has the lock, also one of this process.
Napi::Value lock_file(const Napi::CallbackInfo&);

}  // namespace vggnet::addon
