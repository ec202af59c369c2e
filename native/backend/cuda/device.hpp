#pragma once
// One card as one thread uses it: memory, copies, one stream of calls, and their recordings. Of this folder, only
// device.cpp and the kernels call the CUDA runtime.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.hpp"

struct CUstream_st;  // cudaStream_t points to it

namespace vggnet::cuda {

using Stream = CUstream_st*;

struct Card {
  int index;
  std::string name;         // "NVIDIA H200"
  int compute_capability;   // 90: sm_90
  int multiprocessors;
  int64_t bytes;            // of memory
  int driver;               // CUDA version that the driver supports: 13000
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const Card& card() const = 0;
  virtual Stream stream() const = 0;
  virtual void use_on_this_thread() {}  // for threads beside the one that makes the calls
  virtual int64_t available_bytes() const = 0;
  virtual std::unique_ptr<Memory> allocate(int64_t bytes) = 0;  // zero; throws OUT_OF_MEMORY
  virtual std::unique_ptr<Memory> allocate_host(int64_t bytes) = 0;  // page-locked; by any thread; throws OUT_OF_MEMORY

  // In the order of the calls, as Backend says. An upload returns when the host's memory may be changed, a download when it
  // is written.
  virtual void upload(const void* host, void* device, int64_t bytes) = 0;
  virtual void download(const void* device, void* host, int64_t bytes) = 0;
  virtual void send(const void* host, void* device, int64_t bytes) = 0;
  virtual void fetch(const void* device, void* host, int64_t bytes) = 0;
  virtual uint64_t mark() = 0;
  virtual bool reached(uint64_t mark) = 0;
  virtual void wait(uint64_t mark, const std::function<void()>& meanwhile) = 0;
  virtual void copy(const void* from, void* to, int64_t bytes) = 0;
  virtual void clear(void* data, int64_t bytes) = 0;  // to zero
  virtual void synchronize() = 0;
  virtual double milliseconds(const std::function<void()>& calls) = 0;  // that the card spends on them

  // As Backend::run: at first it makes the calls, at the second time it records them, after that it replays.
  virtual void run(std::unique_ptr<Recording>&, const std::function<void()>& calls) = 0;

  // Within one run: calls that come after what was asked for before the last `fork`, on a stream of their own, and before
  // what is asked for after `beside`.
  virtual void fork() = 0;
  virtual void beside(const std::function<void(Stream)>& calls) = 0;
};

// Throws DEVICE_UNAVAILABLE, or INVALID_ARGUMENT for an index that is not there.
std::unique_ptr<Device> open_device(int index);

// Every card that this process may use. Makes a context on none.
std::vector<Card> cards();

int64_t free_bytes(int index);  // of a card's memory; throws as open_device does

}  // namespace vggnet::cuda
