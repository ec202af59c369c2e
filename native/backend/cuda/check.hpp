#pragma once
// VGGNET_CUDA_CHECK(call): throws with the call, the runtime's message, file and line. After an error that ends the CUDA
// context every call fails; it is DEVICE_LOST, and nothing but a new process brings the card back.
#include <cuda_runtime.h>

#include <string>

#include "tensor/error.hpp"

namespace vggnet::cuda {

[[noreturn]] void throw_cuda_error(cudaError_t, const char* call, const char* file, int line);

}  // namespace vggnet::cuda

#define VGGNET_CUDA_CHECK(call)                                                                \
  do {                                                                                         \
    const cudaError_t vggnet_status = (call);                                                  \
    if (vggnet_status != cudaSuccess)                                                          \
      ::vggnet::cuda::throw_cuda_error(vggnet_status, #call, __FILE__, __LINE__);              \
  } while (false)
