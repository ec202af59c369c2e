// A stand-in for native/backend/cuda/device.cpp: a card of host memory, for tests without one. What a card has but this
// has not: other memory than the host's, calls that run while the host continues, and time.
#include <sys/mman.h>

#ifdef VGGNET_DEBUG
#include <sanitizer/asan_interface.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "stream.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kPage = 4096;

// Small enough to be filled by a test, large enough for VGG-16 in training.
int64_t card_bytes() {
  const char* bytes = std::getenv("VGGNET_STAND_IN_BYTES");
  return bytes ? std::atoll(bytes) : int64_t{6} << 30;
}

std::atomic<int64_t> bytes_in_use{0};  // by all networks of this process

const Card& the_card() {
  static const Card card{0, "stand-in card", 90, 132, card_bytes(), card_bytes(), 13000};
  return card;
}

class CardMemory final : public Memory {
 public:
  CardMemory(Stream stream, int64_t bytes) : stream_(stream), held_(round_up(std::max<int64_t>(bytes, 1), kPage)) {
    if (bytes_in_use.fetch_add(held_) + held_ > the_card().bytes) {
      bytes_in_use -= held_;
      throw Error(kOutOfMemory, "the stand-in card has no " + std::to_string(bytes) + " bytes free");
    }
    bytes_ = bytes;
    data_ = mmap(nullptr, mapped(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data_ == MAP_FAILED) {
      bytes_in_use -= held_;
      throw Error(kOutOfMemory, "the host has no " + std::to_string(bytes) + " bytes for the stand-in card");
    }
    if (mprotect(end(), kPage, PROT_NONE) != 0) throw Error(kInternal, "the stand-in card could not close its memory");
    close(bytes_);
    stream_->add(data_, held_);
  }

  ~CardMemory() override {
    stream_->remove(data_);
    open(bytes_);
    munmap(data_, mapped());
    bytes_in_use -= held_;
  }

 private:
  size_t mapped() const { return static_cast<size_t>(held_ + kPage); }  // the page after it is inaccessible
  char* end() const { return static_cast<char*>(data_) + held_; }

  // The sanitizer's view of what lies between the block's end and its page's.
#ifdef VGGNET_DEBUG
  void close(int64_t from) { ASAN_POISON_MEMORY_REGION(static_cast<char*>(data_) + from, held_ - from); }
  void open(int64_t from) { ASAN_UNPOISON_MEMORY_REGION(static_cast<char*>(data_) + from, held_ - from); }
#else
  void close(int64_t) {}
  void open(int64_t) {}
#endif

  const Stream stream_;
  const int64_t held_;
};

struct Replay final : Recording {
  bool captured = false;
  std::vector<std::function<void()>> calls;
};

class StandInDevice final : public Device {
 public:
  const Card& card() const override { return the_card(); }
  Stream stream() const override { return &stream_; }
#ifdef VGGNET_DEBUG
  bool host_addresses_memory() const override { return true; }
#else
  bool host_addresses_memory() const override { return false; }
#endif
  int64_t available_bytes() const override { return card().bytes - bytes_in_use; }

  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    stream_.expect_not_recording("an allocation");
    return std::make_unique<CardMemory>(&stream_, bytes);
  }

  void upload(const void* host, void* device, int64_t bytes) override {
    stream_.expect_not_recording("an upload");
    expect_ends_on_card("the target of an upload", device, bytes);
    const auto* first = static_cast<const char*>(host);
    stream_.run([=] { std::memcpy(device, first, bytes); });
  }

  std::unique_ptr<Memory> allocate_host(int64_t bytes) override {
    class Plain final : public Memory {
     public:
      explicit Plain(int64_t bytes) {
        data_ = std::malloc(bytes);
        bytes_ = bytes;
      }
      ~Plain() override { std::free(data_); }
    };
    return std::make_unique<Plain>(bytes);
  }
  void send(const void* host, void* device, int64_t bytes) override { upload(host, device, bytes); }
  void fetch(const void* device, void* host, int64_t bytes) override { download(device, host, bytes); }
  uint64_t mark() override { return 0; }
  bool reached(uint64_t) override { return false; }

  void wait(uint64_t, const std::function<void()>& meanwhile) override {
    stream_.expect_not_recording("waiting");
    for (int times = 0; times < 3; ++times) meanwhile();
  }

  void download(const void* device, void* host, int64_t bytes) override {
    stream_.expect_not_recording("a download");
    expect_ends_on_card("the source of a download", device, bytes);
    stream_.run([=] { std::memcpy(host, device, bytes); });
  }

  void copy(const void* from, void* to, int64_t bytes) override {
    expect_ends_on_card("the source of a copy", from, bytes);
    expect_ends_on_card("the target of a copy", to, bytes);
    stream_.enqueue([=] { std::memmove(to, from, bytes); });
  }

  void clear(void* data, int64_t bytes) override {
    expect_ends_on_card("what is cleared", data, bytes);
    stream_.enqueue([=] { std::memset(data, 0, bytes); });
  }

  void synchronize() override { stream_.expect_not_recording("waiting"); }

  double milliseconds(const std::function<void()>& calls) override {
    stream_.expect_not_recording("a measurement");
    const auto start = std::chrono::steady_clock::now();
    calls();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  void run(std::unique_ptr<Recording>& recording, const std::function<void()>& calls) override {
#ifdef VGGNET_DEBUG
    return calls();  // the network looks at memory between them
#endif
    if (!recording) {
      recording = std::make_unique<Replay>();
      return calls();
    }
    Replay& replay = static_cast<Replay&>(*recording);
    if (!replay.captured) {
      stream_.begin_recording();
      try {
        calls();
      } catch (...) {
        stream_.end_recording();
        throw;
      }
      replay.calls = stream_.end_recording();
      replay.captured = true;
    }
    stream_.run([&] {
      for (const auto& call : replay.calls) call();
    });
  }

 private:
  void expect_ends_on_card(const char* what, const void* address, int64_t bytes) const {
    if (bytes < 0 || !stream_.owns(address) || !stream_.owns(static_cast<const char*>(address) + bytes))
      throw Error(kInternal, std::string("stand-in card: ") + what + " of " + std::to_string(bytes) +
                                 " bytes is not in the card's memory");
  }

  mutable CUstream_st stream_;
};

}  // namespace

std::unique_ptr<Device> open_device(int index) {
  if (index != 0)
    throw Error(kDeviceUnavailable, "device 'cuda:" + std::to_string(index) + "' is not there: the stand-in is one card");
  return std::make_unique<StandInDevice>();
}

std::vector<Card> cards() {
  Card card = the_card();
  card.free_bytes -= bytes_in_use;
  return {card};
}

}  // namespace vggnet::cuda
