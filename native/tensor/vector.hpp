#pragma once
// Inner loops are plain C++, compiled once for each level of x86-64 and chosen when the library is loaded.
//
// GCC does not carry the attribute into the outlined body of an OpenMP region, nor into functions called from a clone
// that are not inlined: mark the kernel of a row, without `omp parallel` in it, and call that from the parallel loop;
// what it calls itself is VGGNET_INLINE.
#define VGGNET_INLINE inline __attribute__((always_inline))

// A sanitizer's run-time library is not ready when the loader chooses among clones.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VGGNET_VECTOR
#elif __GNUC__ < 12  // does not know the levels by name
#define VGGNET_VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VGGNET_VECTOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
