#pragma once
// From the host's memory to the card's, in the order of a stream of calls.
#include <array>
#include <cstdint>

#include "backend/cuda/handle.hpp"

namespace vggnet::cuda {

class Uploads {
 public:
  explicit Uploads(cudaStream_t stream) : stream_(stream) {}
  ~Uploads();
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  void upload(const void* host, void* device, int64_t bytes);  // the host's memory may change when it returns
  // From page-locked memory, which must stay as it is until the copy is made. Much of it travels on a stream of its own,
  // while the calls before it run.
  void send(const void* host, void* device, int64_t bytes);

 private:
  struct Slot {
    OwnedEvent copied = make_order();  // what was in it
    void* data = nullptr;
  };

  void* room(int64_t bytes);  // at most a slot's
  bool reserve_buffer(int64_t bytes);

  const cudaStream_t stream_;
  // A ring of page-locked memory. A slot is used again when all that was in it has been copied.
  std::array<Slot, 4> slots_;
  size_t slot_ = 0;
  int64_t used_ = 0;  // bytes of the slot

  OwnedStream copies_ = make_stream();
  OwnedEvent copied_ = make_order(), taken_ = make_order();  // into the card's buffer; out of it
  void* buffer_ = nullptr;
  int64_t buffer_bytes_ = 0;
};

}  // namespace vggnet::cuda
