#pragma once
#include <cuda_runtime.h>

#include <utility>

#include "backend/cuda/check.hpp"

namespace vggnet::cuda {

// A handle that its destructor gives back to its library. At the end of the process the driver may be unloaded first; a
// handle that is not given back then is harmless, so errors are ignored.
template <class Handle, auto destroy>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  ~Owned() { reset(); }
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Handle get() const { return handle_; }
  Handle* address() {
    reset();
    return &handle_;
  }

 private:
  void reset() {
    if (handle_) destroy(handle_);
    handle_ = nullptr;
  }
  Handle handle_ = nullptr;
};

using OwnedStream = Owned<cudaStream_t, cudaStreamDestroy>;
using OwnedEvent = Owned<cudaEvent_t, cudaEventDestroy>;
using OwnedGraph = Owned<cudaGraph_t, cudaGraphDestroy>;
using OwnedExecutable = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

inline OwnedStream make_stream() {
  OwnedStream stream;
  VGGNET_CUDA_CHECK(cudaStreamCreateWithFlags(stream.address(), cudaStreamNonBlocking));
  return stream;
}

inline OwnedEvent make_order() {  // an event that orders streams and measures nothing
  OwnedEvent event;
  VGGNET_CUDA_CHECK(cudaEventCreateWithFlags(event.address(), cudaEventDisableTiming));
  return event;
}

}  // namespace vggnet::cuda
