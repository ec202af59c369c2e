#pragma once
// NVIDIA's libraries on this machine: cuBLASLt, NVRTC and the parts of cuDNN.
#include <string>
#include <vector>

namespace vggnet {

struct CudaFile {
  std::string name;  // "libcudnn.so.9"
  std::string path;  // empty: it is in none of the folders
  bool needed;
};

// In the order in which they are to be opened. All parts of cuDNN come from one folder: the first that holds them all,
// or else the first that holds one of them.
std::vector<CudaFile> find_cuda_files(const std::vector<std::string>& folders);

// What is missing, in a sentence without the fix; empty: nothing.
std::string missing_cuda_file(const std::vector<CudaFile>&);

// Opens them for every library of the process; throws DEVICE_UNAVAILABLE.
void open_cuda_files(const std::vector<CudaFile>&);

}  // namespace vggnet
