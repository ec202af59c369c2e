#pragma once
// What trying plans does to memory, and what every run may do: the stand-in does the worst that is allowed.
#include <vector>

#include "backend/cuda/device.hpp"
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

struct Operand {
  const char* name;
  const void* data;
  int64_t bytes;
  bool written;
};

// Throws INTERNAL where an operand is missing, not in the card's memory, or written while it is another's.
void expect_separate(Stream, const std::string& graph, const std::vector<Operand>&);

void fill_with_random_numbers(Element, void* data, int64_t count);
void spoil(void* data, int64_t bytes);  // with NaN

}  // namespace vggnet::cuda
