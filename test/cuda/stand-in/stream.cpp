#include "stream.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "tensor/error.hpp"

namespace {

using vggnet::Error;
using vggnet::kInternal;

// Between the calls the host cannot touch the card's memory, as it cannot touch a card's: a stage that does ends the
// process. The network's own guards (VGGNET_DEBUG) want it open.
#ifdef VGGNET_DEBUG
void protect(void*, int64_t, int) {}
#else
void protect(void* address, int64_t bytes, int access) {
  if (mprotect(address, static_cast<size_t>(bytes), access) != 0)
    throw Error(kInternal, "the stand-in card could not protect its memory");
}
#endif

bool is_mapped(const void* address) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char present;
  auto* begin = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) / page * page);
  return mincore(begin, 1, &present) == 0;
}

}  // namespace

void CUstream_st::enqueue(std::function<void()> call) {
  if (recording_) recorded_.push_back(std::move(call));
  else run(call);
}

void CUstream_st::run(const std::function<void()>& call) {
  struct Open {
    const std::vector<Range>& memory;
    explicit Open(const std::vector<Range>& ranges) : memory(ranges) {
      for (const Range& range : memory) protect(range.address, range.bytes, PROT_READ | PROT_WRITE);
    }
    ~Open() {
      for (const Range& range : memory) protect(range.address, range.bytes, PROT_NONE);
    }
  };
  const Open open(memory_);
  call();
}

bool CUstream_st::owns(const void* address) const {
  for (const Range& range : memory_)
    if (address >= range.address && address <= range.address + range.bytes) return true;
  return false;
}

void CUstream_st::expect_on_card(const char* what, const void* address, int64_t bytes) const {
  const char* begin = static_cast<const char*>(address);
  if (reinterpret_cast<uintptr_t>(begin) % 16 != 0)
    throw Error(kInternal, std::string("stand-in card: ") + what + " is not aligned to 16 bytes");
  for (const Range& range : memory_)
    if (begin >= range.address && begin + bytes <= range.address + range.bytes) return;
  throw Error(kInternal, std::string("stand-in card: ") + what + " of " + std::to_string(bytes) +
                             " bytes is not in the card's memory");
}

// Only where Linux puts a program's data, its libraries and stacks, and the sanitizer its blocks: numbers of a kernel may
// look like addresses too, and then of mapped memory.
constexpr uintptr_t kFirstOfHost = uintptr_t{0x55} << 40;

void CUstream_st::expect_no_host_address(const void* kernel, int64_t bytes) const {
  for (int64_t i = 0; i + 8 <= bytes; i += 8) {
    uintptr_t word;
    std::memcpy(&word, static_cast<const char*>(kernel) + i, sizeof word);
    const void* address = reinterpret_cast<const void*>(word);
    if (word < kFirstOfHost || word >> 47 != 0 || owns(address) || !is_mapped(address)) continue;
    throw Error(kInternal, "stand-in card: a kernel was given an address of the host's memory, at byte " +
                               std::to_string(i) + " of its parameters");
  }
}

void CUstream_st::add(void* address, int64_t bytes) {
  memory_.push_back({static_cast<char*>(address), bytes});
  protect(address, bytes, PROT_NONE);
}

void CUstream_st::remove(void* address) {
  std::erase_if(memory_, [&](const Range& range) { return range.address == address; });
}

void CUstream_st::begin_recording() {
  expect_not_recording("a recording");
  recorded_.clear();
  recording_ = true;
}

std::vector<std::function<void()>> CUstream_st::end_recording() {
  recording_ = false;
  return std::move(recorded_);
}

void CUstream_st::expect_not_recording(const char* call) const {
  if (recording_) throw Error(kInternal, std::string("stand-in card: ") + call + " is not allowed while calls are recorded");
}
