#pragma once
// Division by a number that is fixed for a launch: a multiplication and a shift. Dividing 64-bit integers takes a card
// some hundred instructions, and finding a pixel's row and image takes two or three divisions.
#include "tensor/random.hpp"  // VGGNET_HOST_DEVICE

namespace vggnet::cuda {

class Divider {
 public:
  explicit Divider(int64_t divisor) : divisor_(divisor) {  // > 0
    while ((int64_t{1} << shift_) < divisor) ++shift_;
    // fits in 64 bits, and exact for all numbers below 2^63 (Granlund and Montgomery, PLDI 1994, theorem 4.2)
    factor_ = static_cast<uint64_t>((Wide{1} << (63 + shift_)) / static_cast<uint64_t>(divisor)) + 1;
  }

  VGGNET_HOST_DEVICE int64_t quotient(int64_t number) const {  // number >= 0
    const uint64_t twice = static_cast<uint64_t>(number) << 1;
    return static_cast<int64_t>(static_cast<uint64_t>(Wide{twice} * factor_ >> 64) >> shift_);
  }
  VGGNET_HOST_DEVICE int64_t divisor() const { return divisor_; }

 private:
  using Wide = unsigned __int128;

  int64_t divisor_;
  uint64_t factor_ = 0;
  uint32_t shift_ = 0;
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
