#pragma once
// From the host's memory to the card's. What is sent ahead travels on a separate stream while the card computes.
#include <cstdint>

#include "backend/cuda/handle.hpp"

namespace vggnet::cuda {

class Uploads {
 public:
  explicit Uploads(cudaStream_t stream) : stream_(stream) {}
  ~Uploads();
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  void upload(const void* host, void* device, int64_t bytes);
  void send_ahead(const void* host, int64_t bytes);
  void forget(const void* host);

 private:
  void* pinned(int64_t bytes);
  bool was_sent(const void* host, int64_t bytes) const;

  const cudaStream_t stream_;  // of the calls
  OwnedStream copies_ = make_stream();
  OwnedEvent copied_ = make_order(), taken_ = make_order();  // into the card's buffer; out of it
  void *pinned_ = nullptr, *buffer_ = nullptr;               // of the host, of the card
  int64_t pinned_bytes_ = 0, buffer_bytes_ = 0;
  const char* sent_ = nullptr;  // the host's memory that lies in buffer_
  int64_t sent_bytes_ = 0;
};

}  // namespace vggnet::cuda
