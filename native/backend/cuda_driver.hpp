#pragma once
// NVIDIA's driver, asked without CUDA's headers or libraries.
#include <string>

namespace vggnet {

struct CudaDriver {
  std::string path;      // of libcuda.so.1; empty: there is none
  std::string version;   // "13.0": of CUDA, as far as the driver supports it
  int cards = 0;         // that this process may see
  std::string obstacle;  // why this build cannot compute with it; empty: it can
};

CudaDriver find_cuda_driver();

}  // namespace vggnet
