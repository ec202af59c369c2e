#include "loss/product.hpp"

#include <algorithm>

#include "tensor/vector.hpp"

namespace vggnet {
namespace {

constexpr int64_t kRows = 4, kLanes = 8, kWidth = 16;
constexpr int64_t kColumns = 4096;  // of x at a time: 4 + 4 rows of them are in the first cache

// sums[i][j] += a[i] . b[j] over `count` columns, for 4 x 4 rows that are `row` floats apart.
VGGNET_VECTOR void add_dots(const float* a, const float* b, int64_t row, int64_t count, double* sums) {
  float lanes[kRows * kRows][kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes)
#pragma GCC unroll 16
    for (int64_t i = 0; i < kRows * kRows; ++i)
#pragma omp simd
      for (int64_t l = 0; l < kLanes; ++l) lanes[i][l] += a[i / kRows * row + k + l] * b[i % kRows * row + k + l];
  for (int64_t i = 0; i < kRows * kRows; ++i) {
    for (int64_t l = 0; l < kLanes; ++l) sums[i] += double{lanes[i][l]};
    for (int64_t rest = k; rest < count; ++rest) sums[i] += double{a[i / kRows * row + rest]} * b[i % kRows * row + rest];
  }
}

// y[4][16] = s[4][rows] x[rows][16]; rows of s are `rows` floats apart, those of x and y `columns`.
VGGNET_VECTOR void multiply_block(const float* s, const float* x, int64_t rows, int64_t columns, float* y) {
  float sums[kRows][kWidth] = {};
  for (int64_t k = 0; k < rows; ++k)
#pragma GCC unroll 4
    for (int64_t i = 0; i < kRows; ++i)
#pragma omp simd
      for (int64_t l = 0; l < kWidth; ++l) sums[i][l] += s[i * rows + k] * x[k * columns + l];
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t l = 0; l < kWidth; ++l) y[i * columns + l] = sums[i][l];
}

void multiply_rest(const float* s, const float* x, int64_t rows, int64_t columns, int64_t height, int64_t width, float* y) {
  for (int64_t i = 0; i < height; ++i)
    for (int64_t l = 0; l < width; ++l) {
      float sum = 0;
      for (int64_t k = 0; k < rows; ++k) sum += s[i * rows + k] * x[k * columns + l];
      y[i * columns + l] = sum;
    }
}

}  // namespace

void product_with_itself(const float* x, int64_t rows, int64_t columns, float factor, float* y) {
  const int64_t blocks = rows / kRows;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t a = 0; a < blocks; ++a) {
    for (int64_t b = 0; b <= a; ++b) {
      double sums[kRows * kRows] = {};
      for (int64_t k = 0; k < columns; k += kColumns)
        add_dots(x + a * kRows * columns + k, x + b * kRows * columns + k, columns, std::min(kColumns, columns - k), sums);
      for (int64_t i = 0; i < kRows * kRows; ++i) {
        const int64_t row = a * kRows + i / kRows, column = b * kRows + i % kRows;
        y[row * rows + column] = y[column * rows + row] = static_cast<float>(factor * sums[i]);
      }
    }
  }
  for (int64_t row = blocks * kRows; row < rows; ++row)
    for (int64_t column = 0; column <= row; ++column) {
      double sum = 0;
      for (int64_t k = 0; k < columns; ++k) sum += double{x[row * columns + k]} * x[column * columns + k];
      y[row * rows + column] = y[column * rows + row] = static_cast<float>(factor * sum);
    }
}

void symmetric_product(const float* s, const float* x, int64_t rows, int64_t columns, float* y) {
  const int64_t strips = (columns + kWidth - 1) / kWidth;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t strip = 0; strip < strips; ++strip) {
    const int64_t first = strip * kWidth, width = std::min(kWidth, columns - first);
    for (int64_t i = 0; i < rows; i += kRows) {
      const int64_t height = std::min(kRows, rows - i);
      float* const to = y + i * columns + first;
      if (height == kRows && width == kWidth) multiply_block(s + i * rows, x + first, rows, columns, to);
      else multiply_rest(s + i * rows, x + first, rows, columns, height, width, to);
    }
  }
}

}  // namespace vggnet
