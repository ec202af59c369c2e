#include <immintrin.h>

#include "backend/cpu/winograd.hpp"

// After every include: what is inlined from a header must not be compiled for a CPU that is perhaps not there.
#pragma GCC target("avx512f,avx2,fma")

namespace vggnet::cpu {
namespace {

using Vector = __m512;
constexpr int64_t kLanes = 16;
constexpr int kTiles = 14, kChannels = 8;  // 28 and 16 of 32 registers hold sums

inline Vector load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Vector x) { _mm512_storeu_ps(to, x); }
inline Vector broadcast(float x) { return _mm512_set1_ps(x); }
inline Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
// The second operand is the result where one is NaN.
inline Vector positive_or_zero(Vector x) { return _mm512_maskz_max_ps(0xffff, _mm512_setzero_ps(), x); }
inline Vector keep(Vector positive, Vector x) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(positive, _mm512_setzero_ps(), _CMP_GT_OQ), x);
}

#include "backend/cpu/winograd_transforms.inc"
// after it
#include "backend/cpu/winograd_products.inc"

}  // namespace

const WinogradKernels kWinogradAvx512 = kKernels;

}  // namespace vggnet::cpu
