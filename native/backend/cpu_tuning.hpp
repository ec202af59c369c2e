#pragma once
// Sizes that suit a processor's caches. They change in what order is summed, and no result beyond that rounding.
#include <cstdint>

namespace vggnet::cpu {

struct Tuning {
  // Bytes of the planes that one thread computes on alone, and of those that all threads share (winograd_pass.hpp).
  int64_t own_block = 512 << 10, shared_block = 12 << 20;
  // Bytes of the planes of a weight gradient, as a share of its sums: each block reads and writes all of these.
  double gradient_block = 2;
};

// Of this process: what is prepared from now on goes by it. From any thread.
Tuning tuning();
void set_tuning(const Tuning&);  // throws INVALID_ARGUMENT

}  // namespace vggnet::cpu
