#include "backend/cpu/pool_kernels.hpp"

#include <algorithm>
#include <bit>

#include "backend/cpu/blocked.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

// Selections are written in integer arithmetic: GCC 12 makes branches of conditional floats. The bodies are templates
// so that the loop over one block has a constant count; always_inline carries the instruction set of a clone into them.
#define VGGNET_BODY __attribute__((always_inline)) inline

VGGNET_BODY float keep_if(bool condition, float value) {
  return std::bit_cast<float>(std::bit_cast<int32_t>(value) & -static_cast<int32_t>(condition));
}

// One row of windows: a and b are the two input rows.
template <int B>
VGGNET_BODY void forward_windows(const float* __restrict a, const float* __restrict b, float* __restrict y,
                                 int64_t windows) {
  for (int64_t i = 0; i < windows; ++i, a += 2 * B, b += 2 * B, y += B) {
#pragma omp simd
    for (int j = 0; j < B; ++j) {
      float best = a[j];
      const float v1 = a[B + j], v2 = b[j], v3 = b[B + j];
      best = (v1 > best) | (v1 != v1) ? v1 : best;
      best = (v2 > best) | (v2 != v2) ? v2 : best;
      best = (v3 > best) | (v3 != v3) ? v3 : best;
      y[j] = best;
    }
  }
}

template <int B>
VGGNET_BODY void rectify_windows(float* y, int64_t windows) {
#pragma omp simd
  for (int64_t i = 0; i < windows * B; ++i) y[i] = y[i] < 0 ? 0 : y[i];
}

// How many of the first three differ from the largest before one equals it.
template <int B>
VGGNET_BODY void index_windows(const float* __restrict a, const float* __restrict b, const float* __restrict y,
                               uint8_t* __restrict index, int64_t windows) {
  for (int64_t i = 0; i < windows; ++i, a += 2 * B, b += 2 * B, y += B, index += B) {
    int32_t from[B];
#pragma omp simd
    for (int j = 0; j < B; ++j) {
      const int32_t not0 = y[j] != a[j], not1 = not0 & (y[j] != a[B + j]), not2 = not1 & (y[j] != b[j]);
      from[j] = not0 + not1 + not2;
    }
#pragma omp simd
    for (int j = 0; j < B; ++j) index[j] = static_cast<uint8_t>(from[j]);
  }
}

template <int B>
VGGNET_BODY void backward_windows(const float* __restrict dy, const uint8_t* __restrict index, float* __restrict a,
                                  float* __restrict b, int64_t windows) {
  for (int64_t i = 0; i < windows; ++i, a += 2 * B, b += 2 * B, dy += B, index += B) {
    int32_t from[B];
#pragma omp simd
    for (int j = 0; j < B; ++j) from[j] = index[j];
#pragma omp simd
    for (int j = 0; j < B; ++j) {
      a[j] = keep_if(from[j] == 0, dy[j]);
      a[B + j] = keep_if(from[j] == 1, dy[j]);
      b[j] = keep_if(from[j] == 2, dy[j]);
      b[B + j] = keep_if(from[j] == 3, dy[j]);
    }
  }
}

VGGNET_VECTOR void forward_row_16(const float* a, const float* b, float* y, uint8_t* index, int64_t windows,
                                  Rectify rectify) {
  forward_windows<16>(a, b, y, windows);
  if (index) index_windows<16>(a, b, y, index, windows);
  if (rectify == Rectify::yes) rectify_windows<16>(y, windows);
}

VGGNET_VECTOR void forward_row_8(const float* a, const float* b, float* y, uint8_t* index, int64_t windows,
                                  Rectify rectify) {
  forward_windows<8>(a, b, y, windows);
  if (index) index_windows<8>(a, b, y, index, windows);
  if (rectify == Rectify::yes) rectify_windows<8>(y, windows);
}

VGGNET_VECTOR void backward_row_16(const float* dy, const uint8_t* index, float* a, float* b, int64_t windows) {
  backward_windows<16>(dy, index, a, b, windows);
}

VGGNET_VECTOR void backward_row_8(const float* dy, const uint8_t* index, float* a, float* b, int64_t windows) {
  backward_windows<8>(dy, index, a, b, windows);
}

}  // namespace

void pool_forward(const float* x, float* y, uint8_t* index, int64_t planes, int64_t h, int64_t w,
                  Rectify rectify) {
  const int64_t b = block(), rows = h / 2, windows = w / 2;
  const auto row = b == 16 ? forward_row_16 : forward_row_8;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t r = 0; r < rows; ++r) {
      const float* upper = x + (plane * h + 2 * r) * w * b;
      const int64_t at = (plane * rows + r) * windows * b;
      row(upper, upper + w * b, y + at, index ? index + at : nullptr, windows, rectify);
    }
  }
}

void pool_backward(const float* dy, const uint8_t* index, float* dx, int64_t planes, int64_t h, int64_t w) {
  const int64_t b = block(), rows = h / 2, windows = w / 2;
  const auto row = b == 16 ? backward_row_16 : backward_row_8;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t r = 0; r < (h + 1) / 2; ++r) {
      float* upper = dx + (plane * h + 2 * r) * w * b;
      if (r == rows) {
        std::fill(upper, upper + w * b, 0.0f);
        continue;
      }
      float* lower = upper + w * b;
      const int64_t at = (plane * rows + r) * windows * b;
      row(dy + at, index + at, upper, lower, windows);
      std::fill(upper + 2 * windows * b, upper + w * b, 0.0f);
      std::fill(lower + 2 * windows * b, lower + w * b, 0.0f);
    }
  }
}

}  // namespace vggnet::cpu
