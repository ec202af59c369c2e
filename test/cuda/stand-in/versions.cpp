// A stand-in for native/backend/cuda/versions.cpp.
#include "backend/cuda/versions.hpp"

namespace vggnet::cuda {

const char* versions() { return "stand-in for CUDA, cuDNN and cuBLASLt"; }

}  // namespace vggnet::cuda
