#pragma once
// Products of row-major matrices by oneDNN's sgemm, threaded.
#include <cstdint>

namespace vggnet::cpu {

struct Matrix {
  const float* data;
  int64_t columns;         // as stored
  char transposed = 'N';   // 'T': its transpose takes part
};

// c [m][n] = a b + beta c, with k the common dimension. Neither transposed is the fastest form; b transposed takes up to
// five times as long at 32 to 64 rows (measured), longer than to transpose the smaller matrix first.
void multiply(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float beta, float* c);

// to [columns][rows] = from [rows][columns]
void transpose(const float* from, int64_t rows, int64_t columns, float* to);

}  // namespace vggnet::cpu
