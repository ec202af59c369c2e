#pragma once
#include <stdexcept>
#include <string>

namespace vggnet {

// An error with a code of VggError.code. Native code throws this and never exits.
class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;  // a string literal
};

inline constexpr const char* kInvalidArgument = "INVALID_ARGUMENT";
inline constexpr const char* kShapeMismatch = "SHAPE_MISMATCH";
inline constexpr const char* kDisposed = "DISPOSED";
inline constexpr const char* kState = "STATE";
inline constexpr const char* kNotFinite = "NOT_FINITE";
inline constexpr const char* kOutOfMemory = "OUT_OF_MEMORY";
inline constexpr const char* kDeviceUnavailable = "DEVICE_UNAVAILABLE";
inline constexpr const char* kDeviceLost = "DEVICE_LOST";
inline constexpr const char* kGroupUnavailable = "GROUP_UNAVAILABLE";
inline constexpr const char* kGroupMismatch = "GROUP_MISMATCH";
inline constexpr const char* kGroupLost = "GROUP_LOST";
inline constexpr const char* kFileFormat = "FILE_FORMAT";
inline constexpr const char* kInternal = "INTERNAL";

// The code of this name, of an error that another process has sent; INTERNAL for one that is not known.
inline const char* code_named(const std::string& name) {
  for (const char* code : {kInvalidArgument, kShapeMismatch, kDisposed, kState, kNotFinite, kOutOfMemory, kDeviceUnavailable,
                           kDeviceLost, kGroupUnavailable, kGroupMismatch, kGroupLost, kFileFormat})
    if (name == code) return code;
  return kInternal;
}

// For what only a mistake in this code can break; user input is checked with a typed error before.
#define VGGNET_ASSERT(condition)                                                                           \
  do {                                                                                                     \
    if (!(condition))                                                                                      \
      throw ::vggnet::Error(::vggnet::kInternal, std::string("assertion failed: ") + #condition + " at " + \
                                                     __FILE__ + ":" + std::to_string(__LINE__));           \
  } while (false)

}  // namespace vggnet
