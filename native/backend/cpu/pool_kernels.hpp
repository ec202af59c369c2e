#pragma once
// 2x2 max-pooling with stride 2 over blocked planes: `planes` = n * padded(c) / block(), each [h][w][block()].
#include <cstdint>

namespace vggnet::cpu {

// y: planes [h / 2][w / 2]. index: for each element of y which of (0,0), (0,1), (1,0), (1,1) it came from, 0..3; may be
// null. The first of equal values wins; a NaN in the window makes y NaN.
void pool_forward(const float* x, float* y, uint8_t* index, int64_t planes, int64_t h, int64_t w);

// dx: planes [h][w], written whole: zero where nothing came from, an odd last row or column included. With y, the
// output of pool_forward, dy is first masked by y > 0, which is the mask of a ReLU below the pool.
void pool_backward(const float* dy, const float* y, const uint8_t* index, float* dx, int64_t planes, int64_t h,
                   int64_t w);

}  // namespace vggnet::cpu
