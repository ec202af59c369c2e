// The only file that knows which devices there are.
#include "backend/backend.hpp"
#include "backend/cpu/backend.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

bool names_cuda(const std::string& device) {
  if (device == "cuda") return true;
  return device.starts_with("cuda:") && device.size() > 5 &&
         device.find_first_not_of("0123456789", 5) == std::string::npos;
}

}  // namespace

std::unique_ptr<Backend> open_backend(const DeviceOptions& options) {
  if (options.threads < 0) {
    throw Error(kInvalidArgument,
                "expected a count from 0 up for threads but received " + std::to_string(options.threads));
  }
  if (options.device == "cpu" || options.device == "auto") return cpu::open(options.threads);
  if (names_cuda(options.device)) {
    throw Error(kDeviceUnavailable, "device '" + options.device +
                                        "' is not available: this build of vggnet has no CUDA backend yet; "
                                        "device 'cpu' or 'auto' works");
  }
  throw Error(kInvalidArgument,
              "expected 'auto', 'cpu', 'cuda' or 'cuda:N' for device but received '" + options.device + "'");
}

}  // namespace vggnet
