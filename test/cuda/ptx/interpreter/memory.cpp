#include "memory.hpp"

#include <algorithm>
#include <cstdio>

namespace ptx {
namespace {

constexpr int64_t kSpace = 4096;
constexpr int32_t kNobody = -1, kSeveral = -2;

std::string text(const char* what, int bytes, const Buffer& buffer, int64_t first, const std::string& wrong) {
  return std::string(what) + " of " + std::to_string(bytes) + " bytes at byte " + std::to_string(first) + " of " + buffer.name +
         " (" + std::to_string(buffer.bytes) + " bytes): " + wrong;
}

uint64_t address_of(const Buffer& buffer) { return reinterpret_cast<uint64_t>(buffer.host); }

}  // namespace

Buffer& Memory::add(std::string name, Kind kind, bool constant, int64_t bytes) {
  auto block = std::make_unique<std::byte[]>(static_cast<size_t>(bytes + 2 * kSpace));
  std::byte* host = block.get() + kSpace;
  while (reinterpret_cast<uint64_t>(host) % 32 != 16) ++host;
  const auto count = static_cast<size_t>(bytes);
  std::fill_n(host, count, std::byte{0xa5});
  buffers_.push_back(std::make_unique<Buffer>(Buffer{std::move(name), kind, constant, bytes, host, std::vector<std::byte>(count),
                                                     std::vector<bool>(count), std::vector<int32_t>(count),
                                                     std::vector<int32_t>(count), std::move(block)}));
  return *buffers_.back();
}

Buffer& Memory::holding(const void* host) {
  for (const auto& buffer : buffers_)
    if (buffer->host == host) return *buffer;
  throw Fault("no buffer starts at this address");
}

void Memory::begin_launch() {
  for (const auto& buffer : buffers_) {
    std::copy_n(buffer->host, buffer->bytes, buffer->device.begin());
    std::ranges::fill(buffer->writer, kNobody);
    std::ranges::fill(buffer->reader, kNobody);
  }
}

Memory::Range Memory::range(const char* what, uint64_t address, int bytes) {
  const auto distance = [address](const Buffer& buffer) {
    const auto first = static_cast<int64_t>(address - address_of(buffer));
    return first < 0 ? -first : std::max<int64_t>(first - buffer.bytes + 1, 0);
  };
  if (!last_ || distance(*last_) > 0) {
    if (buffers_.empty()) throw Fault(std::string(what) + " without any buffer");
    last_ = std::ranges::min_element(buffers_, {}, [&](const auto& buffer) { return distance(*buffer); })->get();
  }
  const auto first = static_cast<int64_t>(address - address_of(*last_));
  if (first < 0 || first + bytes > last_->bytes) {
    char hexadecimal[32];
    std::snprintf(hexadecimal, sizeof hexadecimal, " (address 0x%llx)", static_cast<unsigned long long>(address));
    throw Fault(text(what, bytes, *last_, first, "out of bounds") + hexadecimal);
  }
  return {*last_, first};
}

void Memory::read(uint64_t address, int bytes, int32_t item, void* to) {
  const Range at = range("read", address, bytes);
  if (address % static_cast<uint64_t>(bytes) != 0) throw Fault(text("read", bytes, at.buffer, at.first, "misaligned"));
  for (int64_t i = at.first; i < at.first + bytes; ++i) {
    if (!at.buffer.initialised[i]) throw Fault(text("read", bytes, at.buffer, at.first, "never written"));
    const int32_t writer = at.buffer.writer[i];
    if (writer != kNobody && writer != item)
      throw Fault(text("read", bytes, at.buffer, at.first, "item " + std::to_string(writer) + " writes it in the same launch"));
    int32_t& reader = at.buffer.reader[i];
    reader = reader == kNobody || reader == item ? item : kSeveral;
  }
  std::memcpy(to, &at.buffer.device[at.first], static_cast<size_t>(bytes));
}

void Memory::write(uint64_t address, int bytes, int32_t item, const void* from) {
  const Range at = range("write", address, bytes);
  if (address % static_cast<uint64_t>(bytes) != 0) throw Fault(text("write", bytes, at.buffer, at.first, "misaligned"));
  if (at.buffer.constant) throw Fault(text("write", bytes, at.buffer, at.first, "the buffer is an input"));
  const bool equal = std::memcmp(&at.buffer.device[at.first], from, static_cast<size_t>(bytes)) == 0;
  for (int64_t i = at.first; i < at.first + bytes; ++i) {
    const int32_t reader = at.buffer.reader[i], writer = at.buffer.writer[i];
    if (reader != kNobody && reader != item)
      throw Fault(text("write", bytes, at.buffer, at.first, "another item reads it in the same launch"));
    if (writer != kNobody && writer != item && !equal)
      throw Fault(text("write", bytes, at.buffer, at.first,
                       "item " + std::to_string(writer) + " writes another value in the same launch"));
    at.buffer.writer[i] = item;
    at.buffer.initialised[i] = true;
  }
  std::memcpy(&at.buffer.device[at.first], from, static_cast<size_t>(bytes));
}

}  // namespace ptx
