// The runtime's functions for cards, errors and memory.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>
#include <map>

#include "runtime/memory.hpp"
#include "runtime/state.hpp"
#include "stream.hpp"

using namespace stand_in;

namespace {

constexpr double kHostBytes = 5e7, kCardBytes = 2e9;  // copied in a millisecond

struct ErrorText {
  const char *name, *text;
};
#define VGGNET_ERROR(code, text) \
  { code, { #code, text } }
const std::map<int, ErrorText> kErrors = {
    VGGNET_ERROR(cudaSuccess, "no error"),
    VGGNET_ERROR(cudaErrorInvalidValue, "invalid argument"),
    VGGNET_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    VGGNET_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    VGGNET_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    VGGNET_ERROR(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable"),
    VGGNET_ERROR(cudaErrorNotReady, "device not ready"),
    VGGNET_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    VGGNET_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    VGGNET_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    VGGNET_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    VGGNET_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    VGGNET_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    VGGNET_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    VGGNET_ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    VGGNET_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    VGGNET_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    VGGNET_ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    VGGNET_ERROR(cudaErrorStreamCaptureWrongThread, "capture was not ended in the thread in which it began"),
    VGGNET_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef VGGNET_ERROR

cudaError_t refuse(const char* what, size_t bytes) {
  std::fprintf(stderr, "stand-in card: %s of %zu bytes is not in the card's memory\n", what, bytes);
  return leave(cudaErrorInvalidValue);
}

// What may wait for the card, and so must not be called while the thread captures.
cudaError_t enter_unsafe(const char* call) {
  if (const cudaError_t error = enter(call); error != cudaSuccess) return error;
  if (const cudaError_t error = make_context(current_card()); error != cudaSuccess) return error;
  return refused_while_capturing();
}

// Of memory that is not pinned a copy is made before the call returns; into it, the call returns when it is written.
cudaError_t copy(const char* call, void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool from_host = kind == cudaMemcpyHostToDevice, to_host = kind == cudaMemcpyDeviceToHost;
  if (!from_host && !is_on_card(from, bytes)) return refuse("the source of a copy", bytes);
  if (!to_host && !is_on_card(to, bytes)) return refuse("the target of a copy", bytes);
  const void* const host = from_host ? from : to;
  const bool pageable = (from_host || to_host) && !is_pinned(host, bytes);
  if (pageable && stream->capture_status(nullptr) != cudaStreamCaptureStatusNone) {
    refused_while_capturing();
    return leave(cudaErrorStreamCaptureUnsupported);
  }
  Work work{[=] { std::memmove(to, from, bytes); }, static_cast<double>(bytes) / (from_host || to_host ? kHostBytes : kCardBytes)};
  work.copied = static_cast<int64_t>(bytes);
  if (from_host && pageable) {
    const char* first = static_cast<const char*>(from);
    work.run = [=, staged = std::vector<char>(first, first + bytes)] { std::memcpy(to, staged.data(), bytes); };
  }
  const cudaError_t status = launch(stream, call, std::move(work));
  if (status == cudaSuccess && to_host && pageable) {
    stream->now()->reached.wait(false);
    return leave(context_error(stream->card()));
  }
  return status;
}

}  // namespace

namespace stand_in {

cudaError_t launch(cudaStream_t stream, const char* call, Work work) {
  if (const cudaError_t error = enter(call); error != cudaSuccess) return leave(error);
  if (!stream) return leave(cudaErrorInvalidResourceHandle);
  return leave(stream->submit(std::move(work)));
}

}  // namespace stand_in

extern "C" {

const char* cudaGetErrorName(cudaError_t error) {
  const auto found = kErrors.find(error);
  return found == kErrors.end() ? "an error without a name in the stand-in" : found->second.name;
}
const char* cudaGetErrorString(cudaError_t error) {
  const auto found = kErrors.find(error);
  return found == kErrors.end() ? "an error without a text in the stand-in" : found->second.text;
}
cudaError_t cudaGetLastError() { return last_error(true); }
cudaError_t cudaPeekAtLastError() { return last_error(false); }

cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = count_of_cards();
  if (const cudaError_t error = enter("cudaGetDeviceCount"); error != cudaSuccess) return leave(error);
  return leave(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* card) { return *card = current_card(), cudaSuccess; }

cudaError_t cudaSetDevice(int card) {
  if (card < 0 || card >= count_of_cards()) return leave(cudaErrorInvalidDevice);
  set_current_card(card);
  if (const cudaError_t error = enter("cudaSetDevice"); error != cudaSuccess) return leave(error);
  return leave(make_context(card));
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int card) {
  if (card < 0 || card >= count_of_cards()) return leave(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "stand-in card");
  properties->major = 9;
  properties->multiProcessorCount = 132;
  properties->totalGlobalMem = card_bytes();
  return leave(enter("cudaGetDeviceProperties"));
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int card) {
  if (card < 0 || card >= count_of_cards()) return leave(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    default: *value = 0;
  }
  return leave(enter("cudaDeviceGetAttribute"));
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = card_bytes();
  *free = *total - bytes_in_use(current_card());
  return leave(enter_unsafe("cudaMemGetInfo"));
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  if (const cudaError_t error = enter_unsafe("cudaMalloc"); error != cudaSuccess) return leave(error);
  return leave(allocate_on_card(current_card(), bytes, data));
}

// Both wait for what the card still does.
cudaError_t cudaFree(void* data) {
  if (const cudaError_t error = enter_unsafe("cudaFree"); error != cudaSuccess) return leave(error);
  if (!data) return cudaSuccess;
  synchronize_all(current_card());
  return leave(free_on_card(data));
}

cudaError_t cudaFreeHost(void* data) {
  if (const cudaError_t error = enter_unsafe("cudaFreeHost"); error != cudaSuccess) return leave(error);
  if (!data) return cudaSuccess;
  synchronize_all(current_card());
  return leave(free_pinned(data));
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  if (const cudaError_t error = enter_unsafe("cudaMallocHost"); error != cudaSuccess) return leave(error);
  return leave(allocate_pinned(bytes, data));
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) { return cudaMallocHost(data, bytes); }

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  *attributes = {};
  attributes->type = is_on_card(data, 1) ? cudaMemoryTypeDevice : is_pinned(data, 1) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  return leave(enter("cudaPointerGetAttributes"));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return copy("cudaMemcpyAsync", to, from, bytes, kind, stream);
}

cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  if (!is_on_card(data, bytes)) return refuse("what is set", bytes);
  const double cost = static_cast<double>(bytes) / kCardBytes;
  return launch(stream, "cudaMemsetAsync", {[=] { value == 0 ? clear(data, bytes) : (void)std::memset(data, value, bytes); }, cost});
}

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = enter_unsafe("cudaDeviceSynchronize"); error != cudaSuccess) return leave(error);
  synchronize_all(current_card());
  return leave(context_error(current_card()));
}

}  // extern "C"
