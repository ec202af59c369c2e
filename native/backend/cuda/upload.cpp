#include "backend/cuda/upload.hpp"

#include <algorithm>
#include <cstring>

#include "tensor/shape.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kSlot = 1 << 20, kAlignment = 64;
// A smaller copy takes less time than the order of two streams.
constexpr int64_t kOwnStream = 1 << 20;
constexpr int kShareOfCard = 8;  // of its free memory, at most, for the buffer

}  // namespace

Uploads::~Uploads() {
  cudaStreamSynchronize(copies_.get());
  cudaStreamSynchronize(stream_);
  cudaFree(buffer_);
  for (const Slot& slot : slots_) cudaFreeHost(slot.data);
}

void* Uploads::room(int64_t bytes) {
  if (used_ + bytes > kSlot) {
    VGGNET_CUDA_CHECK(cudaEventRecord(slots_[slot_].copied.get(), stream_));
    slot_ = (slot_ + 1) % slots_.size();
    used_ = 0;
    VGGNET_CUDA_CHECK(cudaEventSynchronize(slots_[slot_].copied.get()));
  }
  Slot& slot = slots_[slot_];
  if (!slot.data) VGGNET_CUDA_CHECK(cudaMallocHost(&slot.data, kSlot));
  void* const at = static_cast<char*>(slot.data) + used_;
  used_ += round_up(bytes, kAlignment);
  return at;
}

void Uploads::upload(const void* host, void* device, int64_t bytes) {
  for (int64_t done = 0; done < bytes; done += kSlot) {
    const int64_t piece = std::min(kSlot, bytes - done);
    const void* const from = std::memcpy(room(piece), static_cast<const char*>(host) + done, piece);
    VGGNET_CUDA_CHECK(
        cudaMemcpyAsync(static_cast<char*>(device) + done, from, piece, cudaMemcpyHostToDevice, stream_));
  }
}

void Uploads::send(const void* host, void* device, int64_t bytes) {
  if (bytes < kOwnStream || !reserve_buffer(bytes)) {
    VGGNET_CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_));
    return;
  }
  VGGNET_CUDA_CHECK(cudaStreamWaitEvent(copies_.get(), taken_.get(), 0));
  VGGNET_CUDA_CHECK(cudaMemcpyAsync(buffer_, host, bytes, cudaMemcpyHostToDevice, copies_.get()));
  VGGNET_CUDA_CHECK(cudaEventRecord(copied_.get(), copies_.get()));
  VGGNET_CUDA_CHECK(cudaStreamWaitEvent(stream_, copied_.get(), 0));
  VGGNET_CUDA_CHECK(cudaMemcpyAsync(device, buffer_, bytes, cudaMemcpyDeviceToDevice, stream_));
  VGGNET_CUDA_CHECK(cudaEventRecord(taken_.get(), stream_));
}

bool Uploads::reserve_buffer(int64_t bytes) {
  if (bytes <= buffer_bytes_) return true;
  size_t free = 0, total = 0;
  VGGNET_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  if (bytes > static_cast<int64_t>(free) / kShareOfCard) return false;
  VGGNET_CUDA_CHECK(cudaEventSynchronize(taken_.get()));
  cudaFree(std::exchange(buffer_, nullptr));
  buffer_bytes_ = 0;
  if (cudaMalloc(&buffer_, bytes) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  buffer_bytes_ = bytes;
  return true;
}

}  // namespace vggnet::cuda
