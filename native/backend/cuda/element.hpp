#pragma once
// How the card stores tensors: n h w c with channels padded to eights by zeros, bfloat16 or float32. Every layer computes
// on the padded count. Eight channels are what a thread takes at a time, and what cuDNN needs to use the tensor cores.
#include <bit>
#include <cmath>

#include "backend/backend.hpp"
#include "tensor/random.hpp"  // VGGNET_HOST_DEVICE

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#endif

namespace vggnet::cuda {

enum class Element { bfloat16, float32 };

constexpr Element element_of(Precision precision) {
  return precision == Precision::bf16 ? Element::bfloat16 : Element::float32;
}
constexpr Element element_of(Precision precision, Storage storage) {
  return storage == Storage::score ? Element::float32 : element_of(precision);
}
constexpr int64_t bytes_of(Element element) { return element == Element::bfloat16 ? 2 : 4; }

inline constexpr int64_t kLanes = 8;
inline int64_t padded(int64_t channels) { return round_up(channels, kLanes); }
inline int64_t stored_elements(const Shape& shape) { return shape.n * padded(shape.c) * shape.h * shape.w; }

// The upper half of a float32; rounded to nearest, ties to even.
struct bfloat16 {
  uint16_t bits;
};

VGGNET_HOST_DEVICE inline float to_float(float x) { return x; }
VGGNET_HOST_DEVICE inline float to_float(bfloat16 x) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
#else
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
#endif
}

template <class T>
VGGNET_HOST_DEVICE T from_float(float x);
template <>
VGGNET_HOST_DEVICE inline float from_float<float>(float x) { return x; }
template <>
VGGNET_HOST_DEVICE inline bfloat16 from_float<bfloat16>(float x) {
#if defined(__CUDA_ARCH__)
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return {static_cast<uint16_t>(bits >> 16 | 0x40)};  // quiet, whatever was rounded away
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
#endif
}

// Eight neighbouring channels, read and written at once.
template <class T>
struct alignas(16) Lanes {
  T at[kLanes];
};

}  // namespace vggnet::cuda
