#include "trial.hpp"

#include <cstring>
#include <random>

#include "matrix.hpp"
#include "stream.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {

void expect_separate(Stream stream, const std::string& graph, const std::vector<Operand>& operands) {
  for (const Operand& one : operands) {
    stream->expect_on_card((std::string(one.name) + " of " + graph).c_str(), one.data, one.bytes);
    for (const Operand& other : operands) {
      if (&one == &other || !(one.written || other.written)) continue;
      const char *begin = static_cast<const char*>(one.data), *end = static_cast<const char*>(other.data);
      if (begin < end + other.bytes && end < begin + one.bytes)
        throw Error(kInternal, std::string("stand-in card: ") + one.name + " and " + other.name + " of " + graph +
                                   " share memory");
    }
  }
}

void fill_with_random_numbers(Element element, void* data, int64_t count) {
  std::minstd_rand random(1);
  for (int64_t i = 0; i < count; ++i) store(element, data, i, static_cast<double>(random() % 2001) / 1000 - 1);
}

void spoil(void* data, int64_t bytes) { std::memset(data, 0xff, bytes); }

}  // namespace vggnet::cuda
