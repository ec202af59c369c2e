#include "addon/file_lock.hpp"

#include <sys/file.h>

#include <cerrno>
#include <limits>

#include "addon/convert.hpp"
#include "addon/environment.hpp"

namespace vggnet::addon {

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int64_t descriptor = count_from(info[0], "descriptor");
    if (descriptor > std::numeric_limits<int>::max())
      throw Error(kInvalidArgument, "Expected a descriptor but received " + std::to_string(descriptor));
    // not fcntl: its locks belong to the process, so two in one process would not exclude each other
    int failed;
    do failed = flock(static_cast<int>(descriptor), LOCK_EX | LOCK_NB);
    while (failed != 0 && errno == EINTR);
    return Napi::Number::New(info.Env(), failed == 0 ? 0 : errno);
  });
}

}  // namespace vggnet::addon
