#include "loss/linear.hpp"

#include <algorithm>

#include "tensor/vector.hpp"

namespace vggnet {
namespace {

constexpr int64_t kLanes = 32;   // partial sums of a product, added to their neighbours at its end
constexpr int64_t kStrip = 128, kGroup = 8;  // columns and outputs whose sums a thread holds at a time, in the first cache
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

// Of `group` outputs and `width` columns, to which x, values and sums point.
VGGNET_VECTOR void add_tile(const float* x, const int32_t* rows, int64_t count, int64_t columns, const double* values,
                            int64_t outputs, int64_t group, int64_t width, double* sums) {
  double tile[kGroup * kStrip] = {};
  for (int64_t n = 0; n < count; ++n)
    for (int64_t k = 0; k < group; ++k) {
      const float* const from = x + rows[n] * columns;
      double* const to = tile + k * kStrip;
      const double value = values[n * outputs + k];
#pragma omp simd
      for (int64_t l = 0; l < width; ++l) to[l] += value * from[l];
    }
  for (int64_t k = 0; k < group; ++k)
    for (int64_t l = 0; l < width; ++l) sums[k * columns + l] += tile[k * kStrip + l];
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
    for (int64_t k = 0; k < outputs; k += kGroup)
      add_tile(x + first, rows, count, columns, values + k, outputs, std::min(kGroup, outputs - k), width, sums + k * columns + first);
  }
}

}  // namespace vggnet
