#include "backend/cpu/gemm.hpp"

#include <algorithm>

#include "backend/cpu/onednn.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kTile = 16;

VGGNET_VECTOR void transpose_tile(const float* from, int64_t rows, int64_t columns, int64_t stride, float* to,
                                  int64_t to_stride) {
  for (int64_t c = 0; c < columns; ++c)
#pragma omp simd
    for (int64_t r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * stride + c];
}

}  // namespace

void multiply(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float beta, float* c) {
  const auto status =
      dnnl::sgemm(a.transposed, b.transposed, m, n, k, 1, a.data, a.columns, b.data, b.columns, beta, c, n);
  if (status != dnnl::status::success)
    throw Error(status == dnnl::status::out_of_memory ? kOutOfMemory : kInternal,
                std::string("oneDNN sgemm: ") + dnnl_status2str(static_cast<dnnl_status_t>(status)));
}

void transpose(const float* from, int64_t rows, int64_t columns, float* to) {
#pragma omp parallel for schedule(static)
  for (int64_t c = 0; c < columns; c += kTile)
    for (int64_t r = 0; r < rows; r += kTile)
      transpose_tile(from + r * columns + c, std::min(kTile, rows - r), std::min(kTile, columns - c), columns,
                     to + c * rows + r, rows);
}

}  // namespace vggnet::cpu
