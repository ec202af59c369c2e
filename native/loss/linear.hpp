#pragma once
// The two matrix products of a linear classifier on rows of features, threaded, in float64. Row-major: x [.][columns], weights
// and sums [outputs][columns], values [count][outputs]. `rows` are `count` indices of rows of x. Sums are made in the same order
// for any number of threads.
#include <cstdint>

namespace vggnet {

// values = x[rows] weights^T
void row_products(const float* x, const int32_t* rows, int64_t count, int64_t columns, const double* weights, int64_t outputs,
                  double* values);

// sums += values^T x[rows]
void column_products(const float* x, const int32_t* rows, int64_t count, int64_t columns, const double* values, int64_t outputs,
                     double* sums);

}  // namespace vggnet
