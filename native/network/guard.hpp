#pragma once
// Debug builds only (VGGNET_DEBUG): memory that becomes a tensor is filled with NaN, and a sentinel after every
// tensor is checked after every stage. Needs memory that the host can address.
#include <vector>

#include "network/memory.hpp"

namespace vggnet {

#ifdef VGGNET_DEBUG
inline constexpr int64_t kGuardBytes = kAlignment;
#else
inline constexpr int64_t kGuardBytes = 0;
#endif

// Fills what begins to live at `event` with NaN and sets its sentinel.
void poison(void* arena, const std::vector<Lifetime>&, int event);

// Throws INTERNAL naming a tensor, alive at `event`, whose sentinel was overwritten, and the stage that just ran.
void check_sentinels(const void* arena, const std::vector<Lifetime>&, int event, const char* stage);

}  // namespace vggnet
