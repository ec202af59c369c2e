#include "network/guard.hpp"

#include <cstring>

#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr unsigned char kSentinel = 0xA5;
constexpr unsigned char kNaN = 0xFF;  // four of them are a float32 NaN

}  // namespace

void poison(void* arena, const std::vector<Lifetime>& lives, int event) {
  for (const Lifetime& life : lives) {
    if (life.first != event) continue;
    auto* begin = static_cast<unsigned char*>(arena) + life.offset;
    std::memset(begin, kNaN, life.bytes - kGuardBytes);
    std::memset(begin + life.bytes - kGuardBytes, kSentinel, kGuardBytes);
  }
}

void check_sentinels(const void* arena, const std::vector<Lifetime>& lives, int event, const char* stage) {
  for (const Lifetime& life : lives) {
    if (life.first < 0 || life.first > event || life.last < event) continue;
    const auto* end = static_cast<const unsigned char*>(arena) + life.offset + life.bytes;
    for (const auto* byte = end - kGuardBytes; byte < end; ++byte)
      if (*byte != kSentinel)
        throw Error(kInternal, std::string("stage '") + stage + "' wrote beyond the end of tensor '" + life.name + "'");
  }
}

}  // namespace vggnet
