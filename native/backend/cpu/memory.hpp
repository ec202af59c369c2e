#pragma once
#include "backend/backend.hpp"

namespace vggnet::cpu {

// What the kernel would give without swapping, within the limits of the control groups this process is in. Pages that
// were allocated but never written count as available: memory is taken when it is first touched.
int64_t available_bytes();

std::unique_ptr<Memory> allocate(int64_t bytes);  // throws OUT_OF_MEMORY

}  // namespace vggnet::cpu
