#include <immintrin.h>

#include "backend/cpu/winograd.hpp"

// After every include: what is inlined from a header must not be compiled for a CPU that is perhaps not there.
#pragma GCC target("avx2,fma")

namespace vggnet::cpu {
namespace {

using Vector = __m256;
constexpr int64_t kLanes = 8;
constexpr int kTiles = 6, kChannels = 4;  // 12 and 8 of 16 registers hold sums

inline Vector load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, Vector x) { _mm256_storeu_ps(to, x); }
inline Vector broadcast(float x) { return _mm256_set1_ps(x); }
inline Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
// The second operand is the result where one is NaN.
inline Vector positive_or_zero(Vector x) { return _mm256_max_ps(_mm256_setzero_ps(), x); }
inline Vector keep(Vector positive, Vector x) {
  return _mm256_and_ps(_mm256_cmp_ps(positive, _mm256_setzero_ps(), _CMP_GT_OQ), x);
}

#include "backend/cpu/winograd_transforms.inc"
// after it
#include "backend/cpu/winograd_products.inc"

}  // namespace

const WinogradKernels kWinogradAvx2 = kKernels;

}  // namespace vggnet::cpu
