#include "backend/cuda/kernels/presence.hpp"

#include "backend/cuda/kernels/launch.hpp"

namespace vggnet::cuda {
namespace {

struct Nothing {
  VGGNET_HOST_DEVICE void operator()(int64_t) const {}
};

}  // namespace

bool runs_on_this_card() {
#if defined(__CUDACC__)
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, run_items<Nothing>);
  cudaGetLastError();  // the answer, not a fault
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction) return false;
  VGGNET_CUDA_CHECK(status);
#endif
  return true;
}

}  // namespace vggnet::cuda
