#pragma once
#include "memory.hpp"

namespace ptx {

// Runs an entry as a launch of blocks of 256 threads would, for so many items: one thread after the other, those of the last
// block that have no item included. Throws Fault with kernel, item and line. `times`: how often a thread came to each instruction.
void run(const Module&, const Entry&, const std::vector<std::byte>& parameters, int64_t items, Memory&,
         std::vector<int64_t>& times);

}  // namespace ptx
