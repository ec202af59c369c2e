#pragma once
// How our kernels are started. A kernel is an object with operator()(int64_t item): nvcc runs it on the card, one item
// to a thread; any other compiler runs the same code in a loop, which is how the tests execute every kernel without a
// card.
// Items must not depend on each other.
#include "backend/cuda/device.hpp"
#include "tensor/random.hpp"

#if defined(__CUDACC__)
#include "backend/cuda/check.hpp"
#endif

// Before a loop whose count is not known: so many of its loads are under way together.
#if defined(__CUDACC__)
#define VGGNET_PRAGMA(text) _Pragma(#text)
#define VGGNET_UNROLL(times) VGGNET_PRAGMA(unroll times)
#else
#define VGGNET_UNROLL(times)
#endif

namespace vggnet::cuda {

#if defined(__CUDACC__)

inline constexpr int kThreads = 256;

template <class Kernel>
__global__ void __launch_bounds__(kThreads) run_items(const __grid_constant__ Kernel kernel, int64_t items) {
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (item < items) kernel(item);
}

template <class Kernel>
void launch(Stream stream, int64_t items, const Kernel& kernel) {
  if (items == 0) return;
  run_items<<<static_cast<unsigned>((items + kThreads - 1) / kThreads), kThreads, 0, stream>>>(kernel, items);
  VGGNET_CUDA_CHECK(cudaGetLastError());
}

#else

template <class Kernel>
void launch(Stream, int64_t items, const Kernel& kernel) {
  for (int64_t item = 0; item < items; ++item) kernel(item);
}

#endif

}  // namespace vggnet::cuda
