#pragma once
#include "memory.hpp"

namespace ptx {

struct Run {
  int64_t instructions = 0;
  std::vector<int64_t> by_form;  // as Module::forms
};

// Runs an entry as a launch of blocks of 256 threads would, for so many items: one thread after the other, those of the last
// block that have no item included. Throws Fault with kernel, item and line.
Run run(const Module&, const Entry&, const std::vector<std::byte>& parameters, int64_t items, Memory&);

}  // namespace ptx
