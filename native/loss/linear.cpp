#include "loss/linear.hpp"

#include <algorithm>

#include "tensor/vector.hpp"

namespace vggnet {
namespace {

constexpr int64_t kLanes = 32;   // partial sums of a product, added to their neighbours at its end
constexpr int64_t kStrip = 128;  // columns whose sums a thread holds at a time
constexpr int64_t kLeastWork = 1 << 18;  // multiplications from which on threads help

VGGNET_VECTOR double dot(const float* x, const double* weights, int64_t columns) {
  double lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= columns; k += kLanes)
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += x[k + l] * weights[k + l];
  double sum = 0;
  for (; k < columns; ++k) sum += x[k] * weights[k];
  for (double lane : lanes) sum += lane;
  return sum;
}

// The first `width` columns of sums; values of a row are `outputs` apart.
VGGNET_VECTOR void add_strip(const float* x, const int32_t* rows, int64_t count, int64_t columns, const double* values,
                             int64_t outputs, int64_t width, double* sums) {
  if (width == kStrip) {
    double strip[kStrip];
    std::copy_n(sums, kStrip, strip);
    for (int64_t n = 0; n < count; ++n)
#pragma omp simd
      for (int64_t l = 0; l < kStrip; ++l) strip[l] += values[n * outputs] * x[rows[n] * columns + l];
    std::copy_n(strip, kStrip, sums);
  } else {
    for (int64_t n = 0; n < count; ++n)
      for (int64_t l = 0; l < width; ++l) sums[l] += values[n * outputs] * x[rows[n] * columns + l];
  }
}

}  // namespace

void row_products(const float* x, const int32_t* rows, int64_t count, int64_t columns, const double* weights, int64_t outputs,
                  double* values) {
#pragma omp parallel for schedule(static) if (count * columns * outputs >= kLeastWork)
  for (int64_t n = 0; n < count; ++n)
    for (int64_t k = 0; k < outputs; ++k)
      values[n * outputs + k] = dot(x + rows[n] * columns, weights + k * columns, columns);
}

void column_products(const float* x, const int32_t* rows, int64_t count, int64_t columns, const double* values, int64_t outputs,
                     double* sums) {
  const int64_t strips = (columns + kStrip - 1) / kStrip;
#pragma omp parallel for schedule(static) if (count * columns * outputs >= kLeastWork)
  for (int64_t strip = 0; strip < strips; ++strip) {
    const int64_t first = strip * kStrip, width = std::min(kStrip, columns - first);
    for (int64_t k = 0; k < outputs; ++k)
      add_strip(x + first, rows, count, columns, values + k, outputs, width, sums + k * columns + first);
  }
}

}  // namespace vggnet
