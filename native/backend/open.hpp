#pragma once
// Which device is meant.
#include <string>

#include "backend/backend.hpp"

namespace vggnet {

struct DeviceChoice {
  std::string device;  // "cpu", "cuda", "cuda:N"
  std::string reason;  // for 'auto': the card taken, or why none was; empty where the device was named
};

// 'auto' is card 0 where it can be opened, else the cpu. A device that was named stays, there or not.
DeviceChoice choose_device(const DeviceOptions&);

const char* name_of(Precision);
Precision precision_of(const std::string& name);  // throws INVALID_ARGUMENT

}  // namespace vggnet
