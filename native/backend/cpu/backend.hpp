#pragma once
#include "backend/backend.hpp"

namespace vggnet::cpu {

std::unique_ptr<Backend> open(int threads);  // 0: every CPU that this process may use

}  // namespace vggnet::cpu
