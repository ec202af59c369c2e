#include "backend/cuda/kernels/random.hpp"

#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int kMean = 510;  // of the sum of four bytes; its variance is 4 (256^2 - 1) / 12

struct FillRandom {
  uint64_t seed;
  float scale;
  int least;  // smaller sums of bytes become the mean

  template <class T>
  VGGNET_HOST_DEVICE void write(int64_t item, T* x) const {
    Floats values;
    for (int half = 0; half < 2; ++half) {
      const Philox bits = philox(seed, static_cast<uint32_t>(item), static_cast<uint32_t>(item >> 32), half, 1);
      for (int i = 0; i < 4; ++i) values.at[4 * half + i] = value(bits.word[i]);
    }
    store_group(values, x, item);
  }
  VGGNET_HOST_DEVICE float value(uint32_t word) const {
    const int sum = static_cast<int>((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24));
    return sum < least ? 0 : static_cast<float>(sum - kMean) * (scale / 147.7997f);
  }
};

template <class T>
struct Fill {
  FillRandom random;
  T* x;
  VGGNET_HOST_DEVICE void operator()(int64_t item) const { random.write(item, x); }
};

void fill(Stream stream, Element element, void* x, int64_t count, const FillRandom& random) {
  VGGNET_ASSERT(count % kLanes == 0);
  with_element(element, [&]<class T>(T) {
    launch(stream, count / kLanes, Fill<T>{random, static_cast<T*>(x)});
  });
}

}  // namespace

void fill_random(Stream stream, Element element, void* x, int64_t count, uint64_t seed, float scale) {
  fill(stream, element, x, count, {seed, scale, 0});
}

void fill_random_rectified(Stream stream, Element element, void* x, int64_t count, uint64_t seed, float scale) {
  fill(stream, element, x, count, {seed, scale, kMean});
}

}  // namespace vggnet::cuda
