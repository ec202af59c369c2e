#include "backend/cuda/device.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "backend/cuda/check.hpp"
#include "backend/cuda/handle.hpp"
#include "backend/cuda/kernels/presence.hpp"
#include "backend/cuda/upload.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

class Block final : public Memory {
 public:
  Block(void* data, int64_t bytes) {
    data_ = data;
    bytes_ = bytes;
  }
  ~Block() override { cudaFree(data_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
};

class HostBlock final : public Memory {
 public:
  HostBlock(void* data, int64_t bytes, int card) : card_(card) {
    data_ = data;
    bytes_ = bytes;
  }
  ~HostBlock() override {
    cudaSetDevice(card_);  // or the thread that frees it would open card 0
    cudaFreeHost(data_);
  }
  HostBlock(const HostBlock&) = delete;
  HostBlock& operator=(const HostBlock&) = delete;

 private:
  const int card_;
};

class CudaRecording final : public Recording {
 public:
  bool warm = false;  // the calls were made once: libraries have loaded what they load at first use
  OwnedExecutable executable;
};

bool records_graphs() {
  const char* wish = std::getenv("VGGNET_CUDA_GRAPHS");
  return !wish || std::string_view(wish) != "off";
}

Card describe(int index) {
  cudaDeviceProp properties;
  Card card{};
  VGGNET_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  VGGNET_CUDA_CHECK(cudaDriverGetVersion(&card.driver));
  card.index = index;
  card.name = properties.name;
  card.compute_capability = properties.major * 10 + properties.minor;
  card.multiprocessors = properties.multiProcessorCount;
  card.bytes = static_cast<int64_t>(properties.totalGlobalMem);
  return card;
}

std::string text_of(const Card& card) { return card.name + " (sm_" + std::to_string(card.compute_capability) + ")"; }

int64_t free_bytes() {
  size_t free = 0, total = 0;
  VGGNET_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) {
    card_ = describe(index);
    VGGNET_CUDA_CHECK(cudaEventCreate(start_.address()));
    VGGNET_CUDA_CHECK(cudaEventCreate(end_.address()));
  }
  ~CudaDevice() override { cudaStreamSynchronize(stream()); }

  const Card& card() const override { return card_; }
  Stream stream() const override { return stream_.get(); }
  void use_on_this_thread() override { VGGNET_CUDA_CHECK(cudaSetDevice(card_.index)); }
  int64_t available_bytes() const override { return std::max<int64_t>(0, free_bytes() - kLeftFree); }

  // Not part of the memory reported as available: trying plans uses the last of it.
  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, std::max<int64_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // reported here
      throw Error(kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes on " + card_.name + ": only " +
                                    std::to_string(available_bytes()) + " bytes are available");
    }
    VGGNET_CUDA_CHECK(status);
    auto block = std::make_unique<Block>(data, bytes);
    clear(block->data(), bytes);
    return block;
  }

  std::unique_ptr<Memory> allocate_host(int64_t bytes) override {
    use_on_this_thread();
    void* data = nullptr;
    VGGNET_CUDA_CHECK(cudaMallocHost(&data, std::max<int64_t>(bytes, 1)));
    return std::make_unique<HostBlock>(data, bytes, card_.index);
  }

  void upload(const void* host, void* device, int64_t bytes) override { uploads_.upload(host, device, bytes); }
  void send(const void* host, void* device, int64_t bytes) override { uploads_.send(host, device, bytes); }

  void fetch(const void* device, void* host, int64_t bytes) override {
    VGGNET_CUDA_CHECK(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()));
  }

  void download(const void* device, void* host, int64_t bytes) override {
    VGGNET_CUDA_CHECK(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()));
    synchronize();
  }

  void copy(const void* from, void* to, int64_t bytes) override {
    if (from != to) VGGNET_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()));
  }

  void clear(void* data, int64_t bytes) override { VGGNET_CUDA_CHECK(cudaMemsetAsync(data, 0, bytes, stream())); }

  uint64_t mark() override {
    VGGNET_CUDA_CHECK(cudaEventRecord(event_of(++last_mark_), stream()));
    return last_mark_;
  }

  bool reached(uint64_t mark) override {
    const cudaError_t status = cudaEventQuery(event_of(mark));
    if (status == cudaErrorNotReady) {
      cudaGetLastError();  // "not ready" is kept too, and the next launch would report it
      return false;
    }
    VGGNET_CUDA_CHECK(status);
    return true;
  }

  void wait(uint64_t mark, const std::function<void()>& meanwhile) override {
    do meanwhile();  // at least once: however short this run is, the next one may begin before its results are read
    while (!reached(mark));
  }

  void synchronize() override { VGGNET_CUDA_CHECK(cudaStreamSynchronize(stream())); }

  double milliseconds(const std::function<void()>& calls) override {
    VGGNET_CUDA_CHECK(cudaEventRecord(start_.get(), stream()));
    calls();
    VGGNET_CUDA_CHECK(cudaEventRecord(end_.get(), stream()));
    VGGNET_CUDA_CHECK(cudaEventSynchronize(end_.get()));
    float milliseconds = 0;
    VGGNET_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start_.get(), end_.get()));
    return milliseconds;
  }

  void run(std::unique_ptr<Recording>& recording, const std::function<void()>& calls) override {
    if (!records_graphs_) return calls();
    if (!recording) recording = std::make_unique<CudaRecording>();
    auto& known = static_cast<CudaRecording&>(*recording);
    if (!known.warm) {
      calls();
      known.warm = true;
      return;
    }
    if (!known.executable.get()) record(known, calls);
    VGGNET_CUDA_CHECK(cudaGraphLaunch(known.executable.get(), stream()));
  }

  // A stream that waits for an event of a captured stream is captured too, and must be waited for before the end: so only
  // `beside` makes it wait.
  void fork() override { VGGNET_CUDA_CHECK(cudaEventRecord(forked_.get(), stream())); }

  void beside(const std::function<void(Stream)>& calls) override {
    VGGNET_CUDA_CHECK(cudaStreamWaitEvent(side_.get(), forked_.get(), 0));
    calls(side_.get());
    VGGNET_CUDA_CHECK(cudaEventRecord(joined_.get(), side_.get()));
    VGGNET_CUDA_CHECK(cudaStreamWaitEvent(stream(), joined_.get(), 0));
  }

 private:
  static constexpr int64_t kLeftFree = int64_t{256} << 20;  // for what libraries and recordings take besides

  cudaEvent_t event_of(uint64_t mark) const { return marks_[mark % marks_.size()].get(); }

  void record(CudaRecording& recording, const std::function<void()>& calls) {
    OwnedGraph graph;
    VGGNET_CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    try {
      calls();
    } catch (...) {
      cudaStreamEndCapture(stream(), graph.address());  // or every later call would be recorded too
      cudaGetLastError();                               // or the next launch would report that it was broken off
      throw;
    }
    VGGNET_CUDA_CHECK(cudaStreamEndCapture(stream(), graph.address()));
    VGGNET_CUDA_CHECK(cudaGraphInstantiate(recording.executable.address(), graph.get(), 0));
  }

  const bool records_graphs_ = records_graphs();
  Card card_;
  OwnedStream stream_ = make_stream(), side_ = make_stream();  // of the card that open_device has made this thread's
  const OwnedEvent forked_ = make_order(), joined_ = make_order();
  OwnedEvent start_, end_;
  const std::array<OwnedEvent, 4> marks_{make_order(), make_order(), make_order(), make_order()};
  uint64_t last_mark_ = 0;
  Uploads uploads_{stream_.get()};
};

// Before anything else is asked of the runtime: what fails here is the machine's, and not ours.
void check_available(cudaError_t status) {
  if (status == cudaSuccess) return;
  if (has_lost_a_card()) VGGNET_CUDA_CHECK(status);  // or 'auto' would go on with the CPU
  cudaGetLastError();
  throw Error(kDeviceUnavailable, std::string("the CUDA runtime cannot use the driver or the card: ") +
                                      cudaGetErrorName(status) + " (" + cudaGetErrorString(status) + ")");
}

int visible_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaErrorNoDevice) check_available(status);
  return count;
}

void choose(int index) {
  const int count = visible_count();
  if (index >= count)
    throw Error(kDeviceUnavailable, "device 'cuda:" + std::to_string(index) + "' is not there: this process sees " +
                                        std::to_string(count) + (count == 1 ? " card" : " cards") + ", counted from 0");
  check_available(cudaSetDevice(index));  // makes the context
}

}  // namespace

std::unique_ptr<Device> open_device(int index) {
  choose(index);
  if (!runs_on_this_card())
    throw Error(kDeviceUnavailable,
                "this build has no code for " + text_of(describe(index)) + ": VGGNET_CUDA_ARCHITECTURES=" +
                    std::to_string(describe(index).compute_capability) + "-real npm run build:cuda makes it");
  return std::make_unique<CudaDevice>(index);
}

std::vector<Card> cards() {
  std::vector<Card> result;
  for (int index = 0; index < visible_count(); ++index) result.push_back(describe(index));
  return result;
}

int64_t free_bytes(int index) {
  choose(index);
  return free_bytes();
}

}  // namespace vggnet::cuda
