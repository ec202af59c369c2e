#pragma once
#include "backend/backend.hpp"

namespace vggnet::cpu {

// Backend::update, with the numbers of this run.
void update(const std::vector<Segment>&, const Arenas&, const Controls&, Results&);

}  // namespace vggnet::cpu
