#include "network/guard.hpp"

#include <algorithm>

#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr unsigned char kSentinel = 0xA5;
constexpr unsigned char kNaN = 0xFF;  // four of them are a float32 NaN

}  // namespace

void poison(Backend& backend, void* arena, const std::vector<Lifetime>& lives, int event) {
  for (const Lifetime& life : lives) {
    if (life.first != event) continue;
    std::vector<unsigned char> bytes(life.bytes, kNaN);
    std::fill(bytes.end() - kGuardBytes, bytes.end(), kSentinel);
    backend.upload(bytes.data(), static_cast<char*>(arena) + life.offset, life.bytes);
  }
}

void check_sentinels(Backend& backend, const void* arena, const std::vector<Lifetime>& lives, int event, const char* stage) {
  for (const Lifetime& life : lives) {
    if (life.first < 0 || life.first > event || life.last < event) continue;
    std::vector<unsigned char> guard(kGuardBytes);
    backend.download(static_cast<const char*>(arena) + life.offset + life.bytes - kGuardBytes, guard.data(), kGuardBytes);
    if (!std::ranges::all_of(guard, [](unsigned char byte) { return byte == kSentinel; }))
      throw Error(kInternal, std::string("stage '") + stage + "' wrote beyond the end of tensor '" + life.name + "'");
  }
}

}  // namespace vggnet
