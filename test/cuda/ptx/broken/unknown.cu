// An instruction that the interpreter does not know, where no item comes.
#include "backend/cuda/kernels/launch.hpp"

namespace vggnet::cuda {
namespace {

struct CountsBits {
  uint32_t* y;
  bool counts;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
#if defined(__CUDA_ARCH__)
    if (counts) y[item] = __popc(y[item]);
#endif
  }
};

}  // namespace

void count_no_bits(Stream stream, uint32_t* y, int64_t items) { launch(stream, items, CountsBits{y, false}); }

}  // namespace vggnet::cuda
