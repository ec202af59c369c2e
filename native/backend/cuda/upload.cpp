#include "backend/cuda/upload.hpp"

#include <algorithm>
#include <cstring>

namespace vggnet::cuda {
namespace {

// Smaller ones the driver copies aside before it returns; larger ones than pinned memory go piece by piece.
constexpr int64_t kLarge = 1 << 16, kMostPinned = 64 << 20;

}  // namespace

Uploads::~Uploads() {
  cudaStreamSynchronize(copies_.get());
  cudaFree(buffer_);
  cudaFreeHost(pinned_);
}

// Room in pinned memory that no copy reads any more.
void* Uploads::pinned(int64_t bytes) {
  VGGNET_CUDA_CHECK(cudaEventSynchronize(copied_.get()));
  if (bytes <= pinned_bytes_) return pinned_;
  cudaFreeHost(std::exchange(pinned_, nullptr));
  pinned_bytes_ = 0;
  VGGNET_CUDA_CHECK(cudaMallocHost(&pinned_, bytes));
  pinned_bytes_ = bytes;
  return pinned_;
}

bool Uploads::was_sent(const void* host, int64_t bytes) const {
  const auto* first = static_cast<const char*>(host);
  return sent_ && first >= sent_ && first + bytes <= sent_ + sent_bytes_;
}

void Uploads::upload(const void* host, void* device, int64_t bytes) {
  if (was_sent(host, bytes)) {
    const char* from = static_cast<char*>(buffer_) + (static_cast<const char*>(host) - sent_);
    VGGNET_CUDA_CHECK(cudaStreamWaitEvent(stream_, copied_.get(), 0));
    VGGNET_CUDA_CHECK(cudaMemcpyAsync(device, from, bytes, cudaMemcpyDeviceToDevice, stream_));
    VGGNET_CUDA_CHECK(cudaEventRecord(taken_.get(), stream_));
    return;
  }
  if (bytes < kLarge) {
    VGGNET_CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_));
    return;
  }
  for (int64_t done = 0; done < bytes; done += kMostPinned) {
    const int64_t piece = std::min(kMostPinned, bytes - done);
    const void* from = std::memcpy(pinned(piece), static_cast<const char*>(host) + done, piece);
    VGGNET_CUDA_CHECK(
        cudaMemcpyAsync(static_cast<char*>(device) + done, from, piece, cudaMemcpyHostToDevice, stream_));
    VGGNET_CUDA_CHECK(cudaEventRecord(copied_.get(), stream_));
  }
}

void Uploads::send_ahead(const void* host, int64_t bytes) {
  if (bytes < kLarge || bytes > kMostPinned) return;
  const void* from = std::memcpy(pinned(bytes), host, bytes);
  if (bytes > buffer_bytes_) {
    VGGNET_CUDA_CHECK(cudaEventSynchronize(taken_.get()));
    cudaFree(std::exchange(buffer_, nullptr));
    buffer_bytes_ = 0;
    if (cudaMalloc(&buffer_, bytes) != cudaSuccess) {  // then it is uploaded when its turn comes
      cudaGetLastError();
      return;
    }
    buffer_bytes_ = bytes;
  }
  VGGNET_CUDA_CHECK(cudaStreamWaitEvent(copies_.get(), taken_.get(), 0));
  VGGNET_CUDA_CHECK(cudaMemcpyAsync(buffer_, from, bytes, cudaMemcpyHostToDevice, copies_.get()));
  VGGNET_CUDA_CHECK(cudaEventRecord(copied_.get(), copies_.get()));
  sent_ = static_cast<const char*>(host);
  sent_bytes_ = bytes;
}

void Uploads::forget(const void* host) {
  if (sent_ == host) sent_ = nullptr;
}

}  // namespace vggnet::cuda
