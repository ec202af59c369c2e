#pragma once
#include "backend/backend.hpp"
#include "backend/cuda/device.hpp"

namespace vggnet::cuda {

std::unique_ptr<Backend> make_backend(std::unique_ptr<Device>, const DeviceOptions&);
std::unique_ptr<Backend> make_planner(const DeviceOptions&);

}  // namespace vggnet::cuda
