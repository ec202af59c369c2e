#pragma once
// 2x2 max-pooling with stride 2 over blocked planes: `planes` = n * padded(c) / block(), each [h][w][block()].
#include <cstdint>

namespace vggnet::cpu {

enum class Rectify { no, yes };

// y: planes [h / 2][w / 2]. index: for each element of y which of (0,0), (0,1), (1,0), (1,1) it came from, 0..3; may be
// null. The first of equal values wins; a NaN in the window makes y NaN. Rectify::yes: y = max(y, 0), NaN stays.
void pool_forward(const float* x, float* y, uint8_t* index, int64_t planes, int64_t h, int64_t w, Rectify);

// dx: planes [h][w], written whole: zero where nothing came from, an odd last row or column included. The mask of a
// ReLU below the pool is that of the pooled values, which the stage above has applied.
void pool_backward(const float* dy, const uint8_t* index, float* dx, int64_t planes, int64_t h, int64_t w);

}  // namespace vggnet::cpu
