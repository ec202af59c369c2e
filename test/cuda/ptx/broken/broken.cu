// Kernels with faults, each of which must be reported. Each runs over items and a buffer or two.
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"

namespace vggnet::cuda {
namespace {

struct WritesOneTooMany {
  float* y;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const { y[item + 1] = 1; }
};

struct LoadsMisaligned {
  const float* x;
  float* y;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const { store_group(load(x + kLanes * item + 1), y, item); }
};

struct ReadsWhatNobodyWrote {
  float *x, *y;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    if (item != 5) x[item] = 1;
    y[item] = x[item];
  }
};

struct WritesItsInput {
  float* x;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const { x[item] = 0; }
};

struct ReadsItsNeighbour {
  float* y;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const { y[item] = y[item ^ 1] + 1; }
};

struct DiffersOnTheDevice {
  const float* x;
  uint32_t* y;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
#if defined(__CUDA_ARCH__)
    y[item] = pack(x[2 * item + 1], x[2 * item]);
#else
    y[item] = pack(x[2 * item], x[2 * item + 1]);
#endif
  }
};

struct FusesWhatIsCalledExact {
  const float* x;
  float* y;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const { y[item] = x[2 * item] * x[2 * item + 1] + 1; }
};

}  // namespace

void write_one_too_many(Stream stream, float* y, int64_t items) { launch(stream, items, WritesOneTooMany{y}); }
void load_misaligned(Stream stream, const float* x, float* y, int64_t items) { launch(stream, items, LoadsMisaligned{x, y}); }
void read_what_nobody_wrote(Stream stream, float* x, float* y, int64_t items) {
  launch(stream, items, ReadsWhatNobodyWrote{x, y});
}
void write_its_input(Stream stream, float* x, int64_t items) { launch(stream, items, WritesItsInput{x}); }
void read_its_neighbour(Stream stream, float* y, int64_t items) { launch(stream, items, ReadsItsNeighbour{y}); }
void differ_on_the_device(Stream stream, const float* x, uint32_t* y, int64_t items) {
  launch(stream, items, DiffersOnTheDevice{x, y});
}
void fuse_what_is_called_exact(Stream stream, const float* x, float* y, int64_t items) {
  launch(stream, items, FusesWhatIsCalledExact{x, y});
}

}  // namespace vggnet::cuda
