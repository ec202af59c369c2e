#pragma once
// A stand-in for a CUDA stream, for tests without a card: calls are made at once, or recorded and made at each replay, as
// a captured graph does. It holds the card's memory, and says no where a card would fault.
#include <functional>
#include <vector>

#include "backend/cuda/device.hpp"

struct CUstream_st {
 public:
  // A call that a card would take into its queue.
  void enqueue(std::function<void()> call);

  // Throws INTERNAL unless `bytes` from `address` on lie within one allocation of this card.
  void expect_on_card(const char* what, const void* address, int64_t bytes) const;
  // The same for a kernel's own pointers: whatever in the object looks like an address of the host's memory.
  void expect_no_host_address(const void* kernel, int64_t bytes) const;

  void add(void* address, int64_t bytes);
  void remove(void* address);

  void begin_recording();
  std::vector<std::function<void()>> end_recording();
  // What the runtime refuses while a stream is captured.
  void expect_not_recording(const char* call) const;
  void run(const std::function<void()>& call);  // with the card's memory open
  bool owns(const void* address) const;

 private:
  struct Range {
    char* address;
    int64_t bytes;
  };
  std::vector<Range> memory_;
  std::vector<std::function<void()>> recorded_;
  bool recording_ = false;
};
