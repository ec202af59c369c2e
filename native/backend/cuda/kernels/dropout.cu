#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"

namespace vggnet::cuda {
namespace {

// Draws count an image's elements in logical order, c h w; four of them come out of one call of Philox.
template <class T>
struct Drop {
  const T* x;
  Divider pixels, groups;  // of an image; of channels
  uint32_t threshold, stream;
  float kept;
  const Controls* controls;
  T* y;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, groups), pixel = divide(position.whole, pixels);
    const int64_t image = controls->first_image + pixel.whole, channel = position.rest * kLanes;
    Floats values = load_group(x, item);
    if (pixels.divisor() == 1) {
      for (int half = 0; half < 2; ++half) {
        const Philox bits = draw(image, channel / 4 + half);
        for (int i = 0; i < 4; ++i) values.at[4 * half + i] *= factor(bits.word[i]);
      }
    } else {
      for (int i = 0; i < kLanes; ++i) {
        const int64_t element = (channel + i) * pixels.divisor() + pixel.rest;
        const Philox bits = draw(image, element >> 2);
        const bool odd = element & 1;
        const uint32_t low = odd ? bits.word[1] : bits.word[0], high = odd ? bits.word[3] : bits.word[2];
        values.at[i] *= factor(element & 2 ? high : low);
      }
    }
    store_group(values, y, item);
  }

  VGGNET_HOST_DEVICE Philox draw(int64_t image, int64_t group) const {
    return dropout_bits(controls->seed, controls->training_step, static_cast<uint32_t>(image), stream,
                        static_cast<uint32_t>(group));
  }
  VGGNET_HOST_DEVICE float factor(uint32_t word) const { return word < threshold ? 0 : kept; }
};

}  // namespace

void drop(Stream stream, Element element, const void* x, const Shape& shape, float probability,
          uint32_t stream_of_layer, const Controls* controls, void* y) {
  const Divider pixels(shape.h * shape.w), groups(padded(shape.c) / kLanes);
  const uint32_t threshold = static_cast<uint32_t>(dropout_threshold(probability));
  with_element(element, [&]<class T>(T) {
    launch(stream, shape.n * pixels.divisor() * groups.divisor(),
           Drop<T>{static_cast<const T*>(x), pixels, groups, threshold, stream_of_layer, 1 / (1 - probability),
                   controls, static_cast<T*>(y)});
  });
}

}  // namespace vggnet::cuda
