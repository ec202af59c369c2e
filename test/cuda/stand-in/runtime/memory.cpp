#include "runtime/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/state.hpp"

namespace stand_in {
namespace {

constexpr size_t kPage = 4096, kAlignment = 256, kSpoilt = size_t{1} << 20;

struct Block {
  char* mapped;
  size_t mapped_bytes, held;  // held counts against the card
  char* data;
  size_t bytes;
  int card;
};

// Never destroyed: streams may run while the process ends.
struct Memory {
  std::mutex mutex;
  std::map<const char*, Block> blocks, pinned;  // by first byte
  std::map<int, size_t> in_use;                 // by card
  const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
};
Memory& memory() {
  static auto& the_memory = *new Memory;
  return the_memory;
}

const Block* find(const std::map<const char*, Block>& blocks, const void* begin, size_t bytes) {
  const char* first = static_cast<const char*>(begin);
  auto after = blocks.upper_bound(first);
  if (after == blocks.begin()) return nullptr;
  const Block& block = std::prev(after)->second;
  return first + bytes <= block.data + block.bytes ? &block : nullptr;
}

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// A page that nobody may touch follows, as near to the last byte as the alignment lets.
bool map(size_t bytes, int key, Block* block) {
  bytes = std::max<size_t>(bytes, 1);
  block->held = round_up(bytes, kPage);
  block->mapped_bytes = block->held + kPage;
  void* mapped = mmap(nullptr, block->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  block->mapped = static_cast<char*>(mapped);
  block->bytes = bytes;
  block->data = block->mapped + block->held - round_up(bytes, kAlignment);
  mprotect(block->mapped + block->held, kPage, PROT_NONE);
  if (key >= 0) pkey_mprotect(block->mapped, block->held, PROT_READ | PROT_WRITE, key);
  return true;
}

// The sanitizer's view of what lies between the block's end and its page's.
#if defined(__SANITIZE_ADDRESS__)
void close_tail(const Block& b) { ASAN_POISON_MEMORY_REGION(b.data + b.bytes, b.mapped + b.held - b.data - b.bytes); }
void open_tail(const Block& b) { ASAN_UNPOISON_MEMORY_REGION(b.data + b.bytes, b.mapped + b.held - b.data - b.bytes); }
#else
void close_tail(const Block&) {}
void open_tail(const Block&) {}
#endif

cudaError_t unmap(std::map<const char*, Block>& blocks, void* data) {
  const auto found = blocks.find(static_cast<char*>(data));
  if (found == blocks.end()) return cudaErrorInvalidValue;
  open_tail(found->second);
  munmap(found->second.mapped, found->second.mapped_bytes);
  blocks.erase(found);
  return cudaSuccess;
}

bool is_mapped(const void* address) {
  unsigned char present;
  auto* begin = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) / kPage * kPage);
  return mincore(begin, 1, &present) == 0;
}

std::string fault_of(const Operand& one) {
  if (reinterpret_cast<uintptr_t>(one.data) % 16 != 0) return std::string(one.name) + " is not aligned to 16 bytes";
  if (is_on_card(one.data, one.bytes)) return "";
  return std::string(one.name) + " of " + std::to_string(one.bytes) + " bytes is not in the card's memory";
}

}  // namespace

// Small enough to be filled by a test, large enough for VGG-16 in training.
size_t card_bytes() {
  static const size_t bytes = static_cast<size_t>(number_in("VGGNET_STAND_IN_BYTES", int64_t{6} << 30));
  return bytes;
}

size_t bytes_in_use(int card) {
  std::lock_guard lock(memory().mutex);
  return memory().in_use[card];
}

cudaError_t allocate_on_card(int card, size_t bytes, void** data) {
  std::lock_guard lock(memory().mutex);
  Block block{};
  block.card = card;
  size_t& in_use = memory().in_use[card];
  if (bytes > card_bytes() || in_use + round_up(bytes, kPage) > card_bytes() || !map(bytes, memory().key, &block))
    return cudaErrorMemoryAllocation;
  in_use += block.held;
  let_this_thread_in();
  const size_t spoilt = std::min(block.bytes, kSpoilt);
  std::memset(block.data, 0xff, spoilt);
  std::memset(block.data + block.bytes - spoilt, 0xff, spoilt);
  keep_this_thread_out();
  close_tail(block);
  memory().blocks[block.data] = block;
  *data = block.data;
  return cudaSuccess;
}

cudaError_t free_on_card(void* data) {
  std::lock_guard lock(memory().mutex);
  const auto found = memory().blocks.find(static_cast<char*>(data));
  if (found == memory().blocks.end()) return cudaErrorInvalidValue;
  memory().in_use[found->second.card] -= found->second.held;
  return unmap(memory().blocks, data);
}

cudaError_t allocate_pinned(size_t bytes, void** data) {
  std::lock_guard lock(memory().mutex);
  Block block{};
  if (!map(bytes, -1, &block)) return cudaErrorMemoryAllocation;
  close_tail(block);
  memory().pinned[block.data] = block;
  *data = block.data;
  return cudaSuccess;
}

cudaError_t free_pinned(void* data) {
  std::lock_guard lock(memory().mutex);
  return unmap(memory().pinned, data);
}

bool is_pinned(const void* data, size_t bytes) {
  std::lock_guard lock(memory().mutex);
  return find(memory().pinned, data, bytes) != nullptr;
}

bool is_on_card(const void* begin, size_t bytes) {
  std::lock_guard lock(memory().mutex);
  return find(memory().blocks, begin, bytes) != nullptr;
}

bool keeps_host_out() { return memory().key >= 0; }

// Threads of OpenMP that a thread starts afterwards have its rights.
void let_this_thread_in() {
  if (keeps_host_out()) pkey_set(memory().key, 0);
}

void keep_this_thread_out() {
  if (keeps_host_out()) pkey_set(memory().key, PKEY_DISABLE_ACCESS);
}

void clear(void* data, size_t bytes) {
  char *begin = static_cast<char*>(data), *end = begin + bytes;
  const auto up = [](char* at) { return reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(at), kPage)); };
  char *first = up(begin), *last = up(end - kPage + 1);  // whole pages between them
  if (bytes < kSpoilt || madvise(first, last - first, MADV_DONTNEED) != 0) {
    std::memset(begin, 0, bytes);
    return;
  }
  std::memset(begin, 0, first - begin);
  std::memset(last, 0, end - last);
}

std::string fault_of(const std::vector<Operand>& operands) {
  for (const Operand& one : operands) {
    if (std::string fault = fault_of(one); !fault.empty()) return fault;
    for (const Operand& other : operands) {
      if (&one == &other || !(one.written || other.written)) continue;
      const char *begin = static_cast<const char*>(one.data), *end = static_cast<const char*>(other.data);
      if (begin < end + other.bytes && end < begin + one.bytes)
        return std::string(one.name) + " and " + other.name + " share memory";
    }
  }
  return "";
}

// Only where Linux puts a program's data, its libraries and stacks, and the sanitizer its blocks: numbers of a kernel may
// look like addresses too, and then of mapped memory.
std::string host_address_in(const void* parameters, int64_t bytes) {
  constexpr uintptr_t kFirstOfHost = uintptr_t{0x55} << 40;
  for (int64_t i = 0; i + 8 <= bytes; i += 8) {
    uintptr_t word;
    std::memcpy(&word, static_cast<const char*>(parameters) + i, sizeof word);
    if (word < kFirstOfHost || word >> 47 != 0) continue;
    const void* address = reinterpret_cast<const void*>(word);
    // one past the end of a block is the card's too
    if (is_on_card(address, 0) || is_on_card(static_cast<const char*>(address) - 1, 1) || !is_mapped(address)) continue;
    return "a kernel was given an address of the host's memory, at byte " + std::to_string(i) + " of its parameters";
  }
  return "";
}

}  // namespace stand_in
