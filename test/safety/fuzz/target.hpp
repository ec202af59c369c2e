#pragma once
// What the fuzz targets share. A target is a function of bytes that must return, whatever they are: libFuzzer calls it, and
// driver.cpp where there is no libFuzzer.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

#define REQUIRE(condition)                                                                     \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);      \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)

namespace vggnet::fuzz {

// Bytes read as numbers, one after the other; after the end everything is 0.
class Bytes {
 public:
  Bytes(const uint8_t* bytes, size_t size) : next_(bytes), end_(bytes + size) {}

  template <class Number>
  Number take() {
    Number number{};
    const size_t count = std::min(sizeof number, static_cast<size_t>(end_ - next_));
    if (count > 0) std::memcpy(&number, next_, count);
    next_ += count;
    return number;
  }
  uint8_t byte() { return take<uint8_t>(); }
  bool empty() const { return next_ == end_; }

  // From 1 to `most`, often small.
  int64_t side(int64_t most) {
    const uint8_t kind = byte();
    const uint64_t wide = kind < 160 ? kind : kind < 224 ? take<uint16_t>() : take<uint32_t>();
    return 1 + static_cast<int64_t>(wide % static_cast<uint64_t>(most));
  }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
};

}  // namespace vggnet::fuzz
