// The only file that knows which devices there are.
#include "backend/open.hpp"

#include <array>

#include "backend/cpu/backend.hpp"
#include "backend/cuda_driver.hpp"
#include "backend/cuda_loader.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr std::array kPrecisions = {Precision::float32, Precision::tf32, Precision::bf16};

bool names_cuda(const std::string& device) {
  if (device == "cuda") return true;
  return device.starts_with("cuda:") && device.size() > 5 && device.size() < 10 &&
         device.find_first_not_of("0123456789", 5) == std::string::npos;
}

int index_of(const std::string& device) { return device == "cuda" ? 0 : std::stoi(device.substr(5)); }

void check(const DeviceOptions& options) {
  if (options.threads < 0) {
    throw Error(kInvalidArgument,
                "Expected a count from 0 up for threads but received " + std::to_string(options.threads));
  }
  if (options.device != "auto" && options.device != "cpu" && !names_cuda(options.device)) {
    throw Error(kInvalidArgument,
                "Expected 'auto', 'cpu', 'cuda' or 'cuda:N' for device but received '" + options.device + "'");
  }
}

bool wants_card(const DeviceOptions& options) {
  return options.precision.value_or(Precision::float32) != Precision::float32;
}

std::unique_ptr<Backend> open_cpu(const DeviceOptions& options) {
  if (wants_card(options)) {
    throw Error(kInvalidArgument, std::string("Expected 'float32' for precision on the cpu but received '") +
                                      name_of(*options.precision) + "', which only a CUDA card computes in");
  }
  return cpu::open(options.threads);
}

// The reason, without the device's name.
std::unique_ptr<Backend> open_card(int index, const DeviceOptions& options) {
  const CudaDriver driver = find_cuda_driver();
  if (!driver.obstacle.empty()) throw Error(kDeviceUnavailable, driver.obstacle);
  if (index >= driver.cards) {
    const std::string last = driver.cards > 1 ? " to 'cuda:" + std::to_string(driver.cards - 1) + "'" : "";
    throw Error(kDeviceUnavailable, "this process sees " + std::to_string(driver.cards) +
                                        (driver.cards == 1 ? " card" : " cards") + ", 'cuda:0'" + last);
  }
  return load_cuda_library().open(index, options);
}

template <class Open>
std::unique_ptr<Backend> named(const std::string& device, Open open) {
  try {
    return open();
  } catch (const Error& error) {
    if (error.code() != std::string(kDeviceUnavailable)) throw;
    throw Error(kDeviceUnavailable, "device '" + device + "' is not available: " + error.what());
  }
}

// Card 0 where it can be opened, else the cpu.
OpenedBackend open_any(const DeviceOptions& options) {
  try {
    auto backend = open_card(0, options);
    const std::string name = backend->card_name();
    return {std::move(backend), name};
  } catch (const Error& error) {
    if (error.code() != std::string(kDeviceUnavailable)) throw;
    if (!wants_card(options)) return {open_cpu(options), error.what()};
    throw Error(kDeviceUnavailable, std::string("precision '") + name_of(*options.precision) +
                                        "' needs a CUDA card, and device 'auto' finds none: " + error.what());
  }
}

}  // namespace

OpenedBackend open_backend(const DeviceOptions& options) {
  check(options);
  if (options.device == "auto") return open_any(options);
  if (options.device == "cpu") return {open_cpu(options), ""};
  return {named(options.device, [&] { return open_card(index_of(options.device), options); }), ""};
}

std::unique_ptr<Backend> open_planner(const DeviceOptions& options) {
  check(options);
  if (options.device == "cpu") return open_cpu(options);
  if (options.device == "auto") {  // whether this build has code for the card is only known once it is opened
    OpenedBackend opened = open_any(options);
    if (opened.backend->card_name().empty()) return std::move(opened.backend);
  }
  return named(options.device, [&] { return load_cuda_library().open_planner(options); });
}

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::tf32: return "tf32";
    case Precision::bf16: return "bf16";
    default: return "float32";
  }
}

Precision precision_of(const std::string& name) {
  for (const Precision precision : kPrecisions)
    if (name == name_of(precision)) return precision;
  throw Error(kInvalidArgument, "Expected bf16, tf32 or float32 for precision but received '" + name + "'");
}

}  // namespace vggnet
