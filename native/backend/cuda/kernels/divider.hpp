#pragma once
// Division by a number that is fixed for a launch: a multiplication and a shift. Dividing 64-bit integers takes a card
// some hundred instructions, and finding a pixel's row and image takes two or three divisions.
#include "tensor/random.hpp"  // VGGNET_HOST_DEVICE

namespace vggnet::cuda {

class Divider {
 public:
  explicit Divider(int64_t divisor) : divisor_(static_cast<uint32_t>(divisor)) {  // 1 .. 2^31 - 1
    while ((int64_t{1} << (shift_ - 31)) < divisor) ++shift_;
    // at most 2^32 - 1, and exact for all numbers below 2^31 (Granlund and Montgomery, PLDI 1994, theorem 4.2)
    factor_ = static_cast<uint32_t>((uint64_t{1} << shift_) / divisor_ + 1);
  }

  VGGNET_HOST_DEVICE int64_t quotient(int64_t number) const {  // number >= 0
    if (number >> 31) return number / divisor_;
    return static_cast<int64_t>(static_cast<uint64_t>(number) * factor_ >> shift_);
  }
  VGGNET_HOST_DEVICE int64_t divisor() const { return divisor_; }

 private:
  uint32_t divisor_, factor_ = 0, shift_ = 31;
};

// quotient and remainder
struct Division {
  int64_t whole, rest;
};

VGGNET_HOST_DEVICE inline Division divide(int64_t number, const Divider& by) {
  const int64_t whole = by.quotient(number);
  return {whole, number - whole * by.divisor()};
}

}  // namespace vggnet::cuda
