// The one symbol that libvggnet_cuda.so exports.
#include "backend/cuda_library.hpp"

#include "backend/cuda/backend.hpp"
#include "backend/cuda/versions.hpp"

namespace vggnet::cuda {
namespace {

std::vector<CudaCard> visible_cards() {
  std::vector<CudaCard> result;
  for (const Card& card : cards())
    result.push_back({card.index, card.name, "sm_" + std::to_string(card.compute_capability), card.bytes});
  return result;
}

std::unique_ptr<Backend> open(int index, const DeviceOptions& options) {
  return make_backend(open_device(index), options);
}

}  // namespace
}  // namespace vggnet::cuda

extern "C" __attribute__((visibility("default"))) const vggnet::CudaLibrary* vggnet_cuda() {
  static const vggnet::CudaLibrary library = {VGGNET_BUILD_ID, vggnet::cuda::versions(), vggnet::cuda::visible_cards,
                                              vggnet::cuda::free_bytes, vggnet::cuda::open, vggnet::cuda::make_planner};
  return &library;
}
