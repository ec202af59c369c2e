#pragma once
// Names of precisions.
#include <string>

#include "backend/backend.hpp"

namespace vggnet {

const char* name_of(Precision);
Precision precision_of(const std::string& name);  // throws INVALID_ARGUMENT

}  // namespace vggnet
