#include "backend/cpu_tuning.hpp"

#include <mutex>

#include "tensor/error.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kLeastBlock = 64 << 10, kMostBlock = 1 << 30;
constexpr double kLeastShare = 0.125, kMostShare = 16;

std::mutex mutex;
Tuning current;

bool sound(int64_t block) { return block >= kLeastBlock && block <= kMostBlock; }

}  // namespace

Tuning tuning() {
  std::lock_guard lock(mutex);
  return current;
}

void set_tuning(const Tuning& given) {
  if (!sound(given.own_block) || !sound(given.shared_block))
    throw Error(kInvalidArgument, "Expected blocks of 65536 to 1073741824 bytes but received " +
                                      std::to_string(given.own_block) + " and " + std::to_string(given.shared_block));
  if (!(given.gradient_block >= kLeastShare && given.gradient_block <= kMostShare))
    throw Error(kInvalidArgument,
                "Expected gradientBlock from 0.125 to 16 but received " + std::to_string(given.gradient_block));
  std::lock_guard lock(mutex);
  current = given;
}

}  // namespace vggnet::cpu
