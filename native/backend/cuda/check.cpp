#include "backend/cuda/check.hpp"

#include <atomic>
#include <string_view>

namespace vggnet::cuda {
namespace {

std::atomic<bool> lost = false;

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
    case cudaErrorDevicesUnavailable:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

}  // namespace

void throw_cuda_error(cudaError_t status, const char* call, const char* file, int line) {
  const std::string where = std::string(cudaGetErrorName(status)) + " (" + cudaGetErrorString(status) + ") from " +
                            call + " at " + file + ":" + std::to_string(line);
  cudaGetLastError();  // what can be forgotten is not reported again by the next call
  if (ends_context(status)) {
    lost = true;
    throw Error(kDeviceLost, "the card has stopped working in this process: " + where +
                                 "; save nothing more from it, end the process and start again from a checkpoint");
  }
  if (status == cudaErrorMemoryAllocation) throw Error(kOutOfMemory, "the card has no memory left: " + where);
  throw Error(kInternal, where);
}

bool has_lost_a_card() { return lost; }

void rethrow_if_lost(const std::exception& error) {
  const auto* const own = dynamic_cast<const Error*>(&error);
  if (own && std::string_view(own->code()) == kDeviceLost) throw;
}

// Any call reports what earlier work has run into; while a stream is captured only some may be made.
void throw_if_lost(cudaStream_t stream, const char* call, const char* file, int line) {
  const cudaError_t last = cudaGetLastError();
  if (ends_context(last)) throw_cuda_error(last, call, file, line);
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  cudaError_t status = cudaStreamIsCapturing(stream, &capture);
  if (status == cudaSuccess && capture == cudaStreamCaptureStatusNone) status = cudaStreamQuery(stream);
  cudaGetLastError();
  if (ends_context(status)) throw_cuda_error(status, call, file, line);
}

}  // namespace vggnet::cuda
