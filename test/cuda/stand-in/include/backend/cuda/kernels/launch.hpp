#pragma once
// A stand-in for native/backend/cuda/kernels/launch.hpp, found before it: kernels run on the threads of the stand-in's
// streams, in no useful order. As with nvcc, a kernel's parameters are copied when it is started.
#include <type_traits>

#include "backend/cuda/check.hpp"
#include "backend/cuda/device.hpp"
#include "runtime/memory.hpp"
#include "stream.hpp"
#include "tensor/random.hpp"

#define launch launch_in_a_loop
#include_next "backend/cuda/kernels/launch.hpp"
#undef launch

namespace vggnet::cuda {

template <class Kernel>
void launch(Stream stream, int64_t items, const Kernel& kernel) {
  static_assert(std::is_trivially_copyable_v<Kernel>, "what a card is given is copied as bytes");
  static_assert(sizeof(Kernel) <= 4096, "of the parameters of a kernel");
  constexpr double kCost = 0.002, kItemsOfMillisecond = 1e8;
  if (items == 0) return;
  Kernel parameters = kernel;
  __builtin_clear_padding(&parameters);
  if (const std::string fault = stand_in::host_address_in(&parameters, sizeof parameters); !fault.empty())
    throw Error(kInternal, "stand-in card: " + fault);
  const auto run = [=] {
    // backwards: what depends on another item's work is wrong here
#pragma omp parallel for schedule(static) if (items > 256)
    for (int64_t item = 0; item < items; ++item) kernel(items - 1 - item);
  };
  stand_in::launch(stream, "cudaLaunchKernel", {run, kCost + static_cast<double>(items) / kItemsOfMillisecond});
  VGGNET_CUDA_CHECK(cudaGetLastError());
}

}  // namespace vggnet::cuda
