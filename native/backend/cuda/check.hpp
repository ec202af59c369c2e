#pragma once
// VGGNET_CUDA_CHECK(call): throws with the call, the runtime's message, file and line. After an error that ends the CUDA
// context every call fails; it is DEVICE_LOST, and nothing but a new process brings the card back.
#include <cuda_runtime.h>

#include <exception>
#include <string>

#include "tensor/error.hpp"

namespace vggnet::cuda {

[[noreturn]] void throw_cuda_error(cudaError_t, const char* call, const char* file, int line);

bool has_lost_a_card();  // whether it has thrown DEVICE_LOST

// In a catch block: throws the exception again if it is DEVICE_LOST.
void rethrow_if_lost(const std::exception&);

// After a failed call of cuDNN or cuBLASLt, which report a lost card as any other failure: throws DEVICE_LOST if the runtime
// reports one, and else clears the error, which the next kernel's launch would report.
void throw_if_lost(cudaStream_t, const char* call, const char* file, int line);

}  // namespace vggnet::cuda

#define VGGNET_THROW_IF_LOST(stream, call) ::vggnet::cuda::throw_if_lost(stream, call, __FILE__, __LINE__)

#define VGGNET_CUDA_CHECK(call)                                                                \
  do {                                                                                         \
    const cudaError_t vggnet_status = (call);                                                  \
    if (vggnet_status != cudaSuccess)                                                          \
      ::vggnet::cuda::throw_cuda_error(vggnet_status, #call, __FILE__, __LINE__);              \
  } while (false)
