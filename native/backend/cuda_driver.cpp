#include "backend/cuda_driver.hpp"

#include <dlfcn.h>

#include <cstdlib>

#include "tensor/shared_library.hpp"

namespace vggnet {
namespace {

constexpr int kNeeded = 13000;        // CUDA 13.0, which the build has; 1000 * major + 10 * minor
constexpr int kStub = 34, kNoCard = 100;  // CUresult

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// CUDA says the same of each of these cases; a user has to do something else in each.
std::string no_card() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (!visible) return "no CUDA device is visible: there is a driver but no card (a container needs --gpus all)";
  if (!*visible) return "no CUDA device is visible: CUDA_VISIBLE_DEVICES is set and empty, which hides every card";
  return "no CUDA device is visible: CUDA_VISIBLE_DEVICES is '" + std::string(visible) + "'";
}

std::string failure(void* driver, const char* call, int status) {
  if (status == kNoCard) return no_card();
  if (status == kStub)
    return "libcuda.so.1 is the stub of a CUDA toolkit, not a driver: take its folder off LD_LIBRARY_PATH";
  const auto name_of = symbol<int(int, const char**)>(driver, "cuGetErrorName");
  const char* name = nullptr;
  if (name_of) name_of(status, &name);
  return std::string("the NVIDIA driver does not work: ") + call + " gives " + (name ? name : "error") + " (" +
         std::to_string(status) + "); nvidia-smi may say more";
}

}  // namespace

CudaDriver find_cuda_driver() {
  CudaDriver found;
  // Stays open: a driver is not made to be unloaded.
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) {
    const std::string reason = dlerror();
    const bool absent = reason.starts_with("libcuda.so.1: cannot open shared object file");
    found.obstacle =
        absent ? "no NVIDIA driver was found (libcuda.so.1); R580 or later is needed"
               : "the NVIDIA driver does not load: " + reason;
    return found;
  }
  found.path = path_of(driver);
  const auto version_of = symbol<int(int*)>(driver, "cuDriverGetVersion");
  const auto initialise = symbol<int(unsigned)>(driver, "cuInit");
  const auto count_cards = symbol<int(int*)>(driver, "cuDeviceGetCount");
  if (!version_of || !initialise || !count_cards) {
    found.obstacle = found.path + " is no NVIDIA driver: a function is missing";
    return found;
  }
  int version = 0;
  if (const int status = version_of(&version); status != 0) {
    found.obstacle = failure(driver, "cuDriverGetVersion", status);
    return found;
  }
  found.version = version_text(version);
  if (version < kNeeded) {
    found.obstacle = "the driver supports CUDA " + found.version + ", this build needs " + version_text(kNeeded) +
                     ": update to R580 or later";
    return found;
  }
  if (const int status = initialise(0); status != 0) {
    found.obstacle = failure(driver, "cuInit", status);
  } else if (const int counted = count_cards(&found.cards); counted != 0) {
    found.obstacle = failure(driver, "cuDeviceGetCount", counted);
  } else if (found.cards == 0) {
    found.obstacle = no_card();
  }
  return found;
}

}  // namespace vggnet
