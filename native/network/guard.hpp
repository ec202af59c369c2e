#pragma once
// Debug builds only (VGGNET_DEBUG): memory that becomes a tensor is filled with NaN, and a sentinel after every
// tensor is checked after every stage. Calls must be made singly: no recording copies from the host.
#include <vector>

#include "backend/backend.hpp"
#include "network/memory.hpp"

namespace vggnet {

#ifdef VGGNET_DEBUG
inline constexpr int64_t kGuardBytes = kAlignment;
#else
inline constexpr int64_t kGuardBytes = 0;
#endif

// Fills what begins to live at `event` with NaN and sets its sentinel.
void poison(Backend&, void* arena, const std::vector<Lifetime>&, int event);

// Throws INTERNAL naming a tensor, alive at `event`, whose sentinel was overwritten, and the stage that just ran.
void check_sentinels(Backend&, const void* arena, const std::vector<Lifetime>&, int event, const char* stage);

}  // namespace vggnet
