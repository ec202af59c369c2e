#pragma once
// What libvggnet_cuda.so gives: one exported function, vggnet_cuda, that returns this table.
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.hpp"

namespace vggnet {

struct CudaCard {
  int index;
  std::string name, architecture;  // "NVIDIA H200", "sm_90"
  int64_t bytes;
};

struct CudaLibrary {
  const char* build_id;  // first, so that it can be read whatever follows
  const char* versions;  // "CUDA 13.0, cuDNN 9.19.0, cuBLASLt 13.1.0"
  // All four throw vggnet::Error.
  std::vector<CudaCard> (*cards)();       // uses none of them: a context takes a third of a GB, and a bad card has none
  int64_t (*free_bytes)(int index);       // of that card's memory
  std::unique_ptr<Backend> (*open)(int index, const DeviceOptions&);
  std::unique_ptr<Backend> (*open_planner)(const DeviceOptions&);
};

inline constexpr const char* kCudaLibrarySymbol = "vggnet_cuda";  // extern "C" const CudaLibrary* vggnet_cuda()

}  // namespace vggnet
