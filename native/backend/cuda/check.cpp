#include "backend/cuda/check.hpp"

namespace vggnet::cuda {
namespace {

// After these every call of the process fails: CUDA Runtime API, "Data types used by CUDA Runtime", error by error.
bool ends_context(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorMpsClientTerminated:
    case cudaErrorDevicesUnavailable: return true;
    default: return false;
  }
}

}  // namespace

void throw_cuda_error(cudaError_t status, const char* call, const char* file, int line) {
  const std::string where = std::string(cudaGetErrorName(status)) + " (" + cudaGetErrorString(status) + ") from " +
                            call + " at " + file + ":" + std::to_string(line);
  cudaGetLastError();  // what can be forgotten is not reported again by the next call
  if (ends_context(status))
    throw Error(kDeviceLost, "the card has stopped working in this process: " + where +
                                 "; save nothing more from it, end the process and start again from a checkpoint");
  if (status == cudaErrorMemoryAllocation) throw Error(kOutOfMemory, "the card has no memory left: " + where);
  throw Error(kInternal, where);
}

}  // namespace vggnet::cuda
