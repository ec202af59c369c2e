#include "backend/cuda_loader.hpp"

#include <mutex>

#include "backend/cuda_files.hpp"
#include "tensor/shared_library.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

struct Loader {
  std::mutex mutex;
  CudaLocations locations;
  const CudaLibrary* library = nullptr;
};

// Never destroyed: a worker may still be loading while the process exits.
Loader& loader() {
  static auto& the_loader = *new Loader;
  return the_loader;
}

[[noreturn]] void refuse(const std::string& reason) { throw Error(kDeviceUnavailable, reason); }

void open_files(const CudaLocations& locations) {
  const auto files = find_cuda_files(locations.folders);
  if (const std::string missing = missing_cuda_file(files); !missing.empty()) {
    std::string searched;
    for (const std::string& folder : locations.folders) searched += (searched.empty() ? "" : ", ") + folder;
    refuse(missing + "; searched " + (searched.empty() ? "nowhere" : searched) + "; " + locations.files_cure);
  }
  open_cuda_files(files);
}

const CudaLibrary* open_library(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) refuse(std::string("the CUDA library does not load: ") + dlerror());
  const auto table = symbol<const CudaLibrary*()>(handle, kCudaLibrarySymbol);
  const CudaLibrary* library = table ? table() : nullptr;
  if (!library) {
    dlclose(handle);
    refuse(path + " is no CUDA library of vggnet: it has no " + kCudaLibrarySymbol);
  }
  const std::string build = library->build_id;
  if (build == VGGNET_BUILD_ID) return library;
  dlclose(handle);
  refuse(path + " is of build " + build + " and this addon of build " VGGNET_BUILD_ID
                ", which do not fit together: `npm run build:native && npm run build:cuda` builds both again");
}

}  // namespace

void set_cuda_locations(CudaLocations locations) {
  std::lock_guard lock(loader().mutex);
  loader().locations = std::move(locations);
}

CudaLocations cuda_locations() {
  std::lock_guard lock(loader().mutex);
  return loader().locations;
}

const CudaLibrary& load_cuda_library() {
  std::lock_guard lock(loader().mutex);
  if (const CudaLibrary* loaded = loader().library) return *loaded;
  const CudaLocations& locations = loader().locations;
  if (locations.library.empty()) refuse(locations.no_library);
  open_files(locations);
  loader().library = open_library(locations.library);
  return *loader().library;
}

}  // namespace vggnet
