#pragma once
// Eight neighbouring channels at a time: read and written in accesses of 16 bytes, computed with as float32.
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

struct Floats {
  float at[kLanes];
};

// What one access moves. May lie over elements of any type.
struct [[gnu::may_alias]] alignas(16) Words {
  uint32_t at[4];
};

VGGNET_HOST_DEVICE inline float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }
VGGNET_HOST_DEVICE inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }

VGGNET_HOST_DEVICE inline uint32_t pack(float low, float high) {
#if defined(__CUDA_ARCH__)
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const uint32_t&>(both);
#else
  return from_float<bfloat16>(low).bits | static_cast<uint32_t>(from_float<bfloat16>(high).bits) << 16;
#endif
}

// Addresses are multiples of 16 bytes.
VGGNET_HOST_DEVICE inline Floats load(const bfloat16* x) {
  const Words words = *reinterpret_cast<const Words*>(x);
  Floats result;
  for (int i = 0; i < 4; ++i) {
    result.at[2 * i] = float_of(words.at[i] << 16);
    result.at[2 * i + 1] = float_of(words.at[i] & 0xffff0000u);
  }
  return result;
}

VGGNET_HOST_DEVICE inline Floats load(const float* x) {
  const Words low = reinterpret_cast<const Words*>(x)[0], high = reinterpret_cast<const Words*>(x)[1];
  Floats result;
  for (int i = 0; i < 4; ++i) {
    result.at[i] = float_of(low.at[i]);
    result.at[4 + i] = float_of(high.at[i]);
  }
  return result;
}

VGGNET_HOST_DEVICE inline void store(const Floats& x, bfloat16* y) {
  Words words;
  for (int i = 0; i < 4; ++i) words.at[i] = pack(x.at[2 * i], x.at[2 * i + 1]);
  *reinterpret_cast<Words*>(y) = words;
}

VGGNET_HOST_DEVICE inline void store(const Floats& x, float* y) {
  Words low, high;
  for (int i = 0; i < 4; ++i) {
    low.at[i] = bits_of(x.at[i]);
    high.at[i] = bits_of(x.at[4 + i]);
  }
  reinterpret_cast<Words*>(y)[0] = low;
  reinterpret_cast<Words*>(y)[1] = high;
}

template <class T>
VGGNET_HOST_DEVICE Floats load_group(const T* x, int64_t group) { return load(x + group * kLanes); }
template <class T>
VGGNET_HOST_DEVICE void store_group(const Floats& x, T* y, int64_t group) { store(x, y + group * kLanes); }

// Infinite or NaN.
VGGNET_HOST_DEVICE inline bool not_finite(float x) { return (bits_of(x) & 0x7f800000u) == 0x7f800000u; }

// Calls body(T{}) with the type of the element.
template <class Body>
void with_element(Element element, const Body& body) {
  if (element == Element::bfloat16)
    body(bfloat16{});
  else
    body(float{});
}

}  // namespace vggnet::cuda
