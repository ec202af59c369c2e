#pragma once
// Finds and loads libvggnet_cuda.so, once for the process, whichever thread asks first.
#include <string>
#include <vector>

#include "backend/cuda_library.hpp"

namespace vggnet {

// Where to look, and what to say where nothing is found: JavaScript knows how this package is installed.
struct CudaLocations {
  std::string library;               // libvggnet_cuda.so; empty: there is none
  std::string no_library;            // why there is none, and how to fix it
  std::vector<std::string> folders;  // that may hold NVIDIA's libraries, the preferred first
  std::string files_cure;            // what to do where one of those is missing
};

void set_cuda_locations(CudaLocations);  // for what is loaded from now on
CudaLocations cuda_locations();

// Throws DEVICE_UNAVAILABLE; the next call tries again. Needs no driver and no card.
const CudaLibrary& load_cuda_library();

}  // namespace vggnet
