#include "backend/cuda/versions.hpp"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <string>

namespace vggnet::cuda {
namespace {

std::string text(size_t major, size_t minor, size_t patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

std::string all() {
  const size_t cudnn = cudnnGetVersion(), cublas = cublasLtGetVersion();
  return "CUDA " + std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10) +
         ", cuDNN " + text(cudnn / 10000, cudnn / 100 % 100, cudnn % 100) + ", cuBLASLt " +
         text(cublas / 10000, cublas / 100 % 100, cublas % 100);
}

}  // namespace

const char* versions() {
  static const std::string text = all();
  return text.c_str();
}

}  // namespace vggnet::cuda
