#pragma once
// The two matrix products of Gram matrices, threaded. Row-major; x: [rows][columns].
#include <cstdint>

namespace vggnet {

// y[rows][rows] = factor * x x^T
void product_with_itself(const float* x, int64_t rows, int64_t columns, float factor, float* y);

// y[rows][columns] = s x of a symmetric s[rows][rows]
void symmetric_product(const float* s, const float* x, int64_t rows, int64_t columns, float* y);

}  // namespace vggnet
