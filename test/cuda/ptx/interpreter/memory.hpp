#pragma once
// The buffers of a launch. The interpreter works on a copy of each, and every access is checked against it.
#include <memory>
#include <string>
#include <vector>

#include "module.hpp"

namespace ptx {

// How the elements of a buffer are compared. A word of 64 bits is a double, or an integer where it is small.
enum class Kind { bytes, bfloat16, float32, words };

struct Buffer {
  std::string name;
  Kind kind;
  bool constant;
  int64_t bytes;
  std::byte* host;                 // what the host form reads and writes
  std::vector<std::byte> device;   // what the interpreter reads and writes
  std::vector<bool> initialised;   // bytes that have been written, by any launch
  std::vector<int32_t> writer, reader;  // item that wrote or read a byte in this launch; kNobody, kSeveral
  std::unique_ptr<std::byte[]> block;   // with space at both ends that belongs to nobody
};

class Memory {
 public:
  // Multiples of 16 bytes, and of no more: vector accesses may need no larger alignment.
  Buffer& add(std::string name, Kind kind, bool constant, int64_t bytes);
  Buffer& holding(const void* host);
  const std::vector<std::unique_ptr<Buffer>>& buffers() const { return buffers_; }

  void begin_launch();  // copies what the host has
  void read(uint64_t address, int bytes, int32_t item, void* to);
  void write(uint64_t address, int bytes, int32_t item, const void* from);

 private:
  struct Range {
    Buffer& buffer;
    int64_t first;
  };
  Range range(const char* what, uint64_t address, int bytes);

  std::vector<std::unique_ptr<Buffer>> buffers_;
  Buffer* last_ = nullptr;
};

}  // namespace ptx
