#include "case.hpp"

#include <algorithm>
#include <cstring>

namespace vggnet::cuda {
namespace {

// NaN (quiet, and with its payload in the half that bfloat16 drops), infinity, zero, the smallest and the largest numbers,
// and what lies half way between two bfloat16s, just above and just below.
constexpr uint32_t kSpecial[] = {0x7fc00000, 0x7f800001, 0x7f800000, 0x00000000, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff,
                                 0x3f808000, 0x3f818000, 0x3f808001, 0x3f817fff, 0x7f7f8000, 0x00008000, 0x3f800000, 0x40000000};

ptx::Kind kind_of(Element element) { return element == Element::bfloat16 ? ptx::Kind::bfloat16 : ptx::Kind::float32; }

float number(uint32_t at, Numbers numbers) {
  const Philox bits = philox(7, at, 0, 0, 0);
  if (numbers == Numbers::any && bits.word[0] % 4 == 0)
    return std::bit_cast<float>(kSpecial[bits.word[1] % std::size(kSpecial)] | (bits.word[2] & 1) << 31);
  return static_cast<float>(static_cast<int32_t>(bits.word[3])) * 0x1p-31f * (numbers == Numbers::wide ? 1000 : 1);
}

}  // namespace

void* Case::filled(const char* name, ptx::Kind kind, bool constant, const void* from, size_t bytes) {
  ptx::Buffer& buffer = memory.add(name, kind, constant, static_cast<int64_t>(bytes));
  std::memcpy(buffer.host, from, bytes);
  buffer.initialised.assign(bytes, true);
  return buffer.host;
}

void* Case::numbers(const char* name, Element element, bool constant, int64_t count, Numbers kind) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = number(drawn_++, kind);
  if (element == Element::float32) return filled(name, ptx::Kind::float32, constant, values.data(), values.size() * 4);
  std::vector<bfloat16> rounded(values.size());
  std::ranges::transform(values, rounded.begin(), from_float<bfloat16>);
  return filled(name, ptx::Kind::bfloat16, constant, rounded.data(), rounded.size() * 2);
}

const void* Case::input(const char* name, Element element, int64_t count, Numbers kind) {
  return numbers(name, element, true, count, kind);
}

void* Case::in_out(const char* name, Element element, int64_t count, Numbers kind) {
  return numbers(name, element, false, count, kind);
}

void* Case::output(const char* name, ptx::Kind kind, int64_t bytes) { return memory.add(name, kind, false, bytes).host; }

void* Case::output(const char* name, Element element, int64_t count) {
  return output(name, kind_of(element), count * bytes_of(element));
}

}  // namespace vggnet::cuda
