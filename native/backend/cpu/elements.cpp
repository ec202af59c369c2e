#include "backend/cpu/elements.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kChunk = 1 << 14;  // elements that one thread takes at a time

// Calls kernel(offset, count) for consecutive chunks, threaded.
template <typename Kernel>
void for_chunks(int64_t count, const Kernel& kernel) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; i += kChunk) kernel(i, std::min(kChunk, count - i));
}

VGGNET_VECTOR uint32_t largest_exponent(const float* x, int64_t count) {
  uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7f800000u);
  return largest;
}

// Written so that NaN stays NaN.
VGGNET_VECTOR void rectify_chunk(const float* x, float* y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] < 0 ? 0 : x[i];
}

VGGNET_VECTOR void scale_chunk(float* x, float factor, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) x[i] *= factor;
}

VGGNET_VECTOR void mask_chunk(const float* dy, const float* x, float scale, float* dx, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) dx[i] = x[i] > 0 ? dy[i] * scale : 0;
}

// One block of `channels` planes of hw elements to [hw][b].
template <int b>
VGGNET_VECTOR void pack_block(const float* planes, int64_t channels, int64_t hw, float* blocked) {
  for (int64_t p = 0; p < hw; ++p) {
    for (int64_t j = 0; j < channels; ++j) blocked[p * b + j] = planes[j * hw + p];
    for (int64_t j = channels; j < b; ++j) blocked[p * b + j] = 0;
  }
}

template <int b>
VGGNET_VECTOR void unpack_block(const float* blocked, int64_t channels, int64_t hw, float* planes) {
  for (int64_t j = 0; j < channels; ++j) {
#pragma omp simd
    for (int64_t p = 0; p < hw; ++p) planes[j * hw + p] = blocked[p * b + j];
  }
}

// Calls kernel(planes' offset, channels, blocked offset) for each block of each image, threaded.
template <typename Kernel>
void for_blocks(const Shape& shape, const Kernel& kernel) {
  const int64_t b = block(), blocks = padded(shape.c) / b, hw = shape.h * shape.w;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < shape.n * blocks; ++i) {
    const int64_t first = i % blocks * b;
    kernel((i / blocks * shape.c + first) * hw, std::min(b, shape.c - first), i * b * hw);
  }
}

}  // namespace

bool all_finite(const float* x, int64_t count) {
  uint32_t largest = 0;
#pragma omp parallel for schedule(static) reduction(max : largest)
  for (int64_t i = 0; i < count; i += kChunk) {
    largest = std::max(largest, largest_exponent(x + i, std::min(kChunk, count - i)));
  }
  return largest < 0x7f800000u;
}

void copy(const float* x, float* y, int64_t count) {
  if (x == y) return;
  for_chunks(count, [=](int64_t i, int64_t length) { std::memcpy(y + i, x + i, length * sizeof(float)); });
}

void rectify(const float* x, float* y, int64_t count) {
  for_chunks(count, [=](int64_t i, int64_t length) { rectify_chunk(x + i, y + i, length); });
}

void scale(float* x, float factor, int64_t count) {
  for_chunks(count, [=](int64_t i, int64_t length) { scale_chunk(x + i, factor, length); });
}

void mask(const float* dy, const float* x, float scale, float* dx, int64_t count) {
  for_chunks(count, [=](int64_t i, int64_t length) { mask_chunk(dy + i, x + i, scale, dx + i, length); });
}

void pack(const float* nchw, const Shape& shape, float* blocked) {
  const auto kernel = block() == 16 ? pack_block<16> : pack_block<8>;
  const int64_t hw = shape.h * shape.w;
  for_blocks(shape, [=](int64_t planes, int64_t channels, int64_t offset) {
    kernel(nchw + planes, channels, hw, blocked + offset);
  });
}

void unpack(const float* blocked, const Shape& shape, float* nchw) {
  const auto kernel = block() == 16 ? unpack_block<16> : unpack_block<8>;
  const int64_t hw = shape.h * shape.w;
  for_blocks(shape, [=](int64_t planes, int64_t channels, int64_t offset) {
    kernel(blocked + offset, channels, hw, nchw + planes);
  });
}

void add_packed(const float* nchw, const Shape& shape, float* blocked) {
  const int64_t b = block(), hw = shape.h * shape.w;
  for_blocks(shape, [=](int64_t planes, int64_t channels, int64_t offset) {
    for (int64_t j = 0; j < channels; ++j)
      for (int64_t p = 0; p < hw; ++p) blocked[offset + p * b + j] += nchw[planes + j * hw + p];
  });
}

void add_packed_masked(const float* nchw, const Shape& shape, const float* value, float* blocked) {
  const int64_t b = block(), hw = shape.h * shape.w;
  for_blocks(shape, [=](int64_t planes, int64_t channels, int64_t offset) {
    for (int64_t j = 0; j < channels; ++j)
      for (int64_t p = 0; p < hw; ++p) {
        const int64_t at = offset + p * b + j;
        if (value[at] > 0) blocked[at] += nchw[planes + j * hw + p];
      }
  });
}

}  // namespace vggnet::cpu
