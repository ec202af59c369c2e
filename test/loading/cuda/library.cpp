// A stand-in for libvggnet_cuda.so: its table is complete, its functions only throw. They tell how often the table was
// asked for.
#include "backend/cuda_library.hpp"
#include "tensor/error.hpp"

namespace {

int tables_given = 0;

std::string told(const char* what) { return std::string(what) + ", table given " + std::to_string(tables_given) + " time"; }

std::vector<vggnet::CudaCard> cards() { return {{0, "Stand-in", "sm_90", 1 << 30}}; }

int64_t free_bytes(int) { return 1 << 29; }

std::unique_ptr<vggnet::Backend> open(int, const vggnet::DeviceOptions&) { throw vggnet::Error(OPEN_ERROR, told("no backend")); }

std::unique_ptr<vggnet::Backend> open_planner(const vggnet::DeviceOptions&) {
  throw vggnet::Error(vggnet::kInternal, told("no planner"));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const vggnet::CudaLibrary* vggnet_cuda() {
  static const vggnet::CudaLibrary library = {BUILD_ID, "CUDA of a stand-in", cards, free_bytes, open, open_planner};
  tables_given += 1;
  return &library;
}
