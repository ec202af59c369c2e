// The first layer: raw images to (pixel + shift - mean) * scale, and the gradient back in the caller's pixel scale.
#include <algorithm>
#include <type_traits>

#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"

namespace vggnet::cuda {
namespace {

// Eight channels of the image, or the last few.
struct Colours {
  int first, count, groups;  // groups of eight in all
  float mean[kLanes], scale[kLanes];
};

Colours colours_of(const Input& input, int first) {
  Colours colours = {first, static_cast<int>(std::min<int64_t>(kLanes, input.channels - first)),
                     static_cast<int>(padded(input.channels) / kLanes), {}, {}};
  std::copy_n(input.mean.begin() + first, colours.count, colours.mean);
  std::copy_n(input.scale.begin() + first, colours.count, colours.scale);
  return colours;
}

// Where in the caller's image a pixel of the batch (n h w) comes from.
struct Source {
  int64_t image, pixel;  // y * w + x
};

struct Mirror {
  Divider h, w;
  const uint8_t* flip;

  VGGNET_HOST_DEVICE Source source(int64_t pixel) const {
    const Division line = divide(pixel, w), image = divide(line.whole, h);
    const int64_t x = flip[image.whole] ? w.divisor() - 1 - line.rest : line.rest;
    return {image.whole, image.rest * w.divisor() + x};
  }
  VGGNET_HOST_DEVICE int64_t pixels() const { return h.divisor() * w.divisor(); }  // of an image
};

// raw element = (image * pixels * channels) + pixel * step + c * plane
template <class Pixel, class T>
struct TransformImages {
  const Pixel* raw;
  const float* shift;
  Mirror mirror;
  int64_t step, plane;
  int channels;
  Colours colours;
  Results* results;
  T* y;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Source from = mirror.source(item);
    const Pixel* const image = raw + from.image * mirror.pixels() * channels;
    const Pixel* const pixel = image + from.pixel * step + colours.first * plane;
    const float* const shifts = shift + from.image * channels + colours.first;
    Floats values = {};
    for (int c = 0; c < kLanes; ++c)
      if (c < colours.count) values.at[c] = static_cast<float>(pixel[c * plane]);
    if constexpr (std::is_same_v<Pixel, float>) {
      bool bad = false;
      for (int c = 0; c < kLanes; ++c) bad |= not_finite(values.at[c]);
      if (bad) results->images_not_finite = 1;
    }
    for (int c = 0; c < kLanes; ++c)
      if (c < colours.count) values.at[c] = (values.at[c] + shifts[c] - colours.mean[c]) * colours.scale[c];
    store_group(values, y, item * colours.groups + colours.first / kLanes);
  }
};

template <class T>
struct ImageGradient {
  const T* dy;
  Mirror mirror;
  int channels;
  Colours colours;
  float* dx;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Source to = mirror.source(item);
    const Floats values = load_group(dy, item * colours.groups + colours.first / kLanes);
    float* const pixel = dx + (to.image * channels + colours.first) * mirror.pixels() + to.pixel;
    for (int c = 0; c < kLanes; ++c)
      if (c < colours.count) pixel[c * mirror.pixels()] = values.at[c] * colours.scale[c];
  }
};

}  // namespace

// Images of many colours take a launch for each eight of them.
void transform_images(Stream stream, Element element, const Feed& feed, DType images, const Shape& shape,
                      const Input& input, void* y) {
  const Mirror mirror = {Divider(shape.h), Divider(shape.w), feed.flip};
  const int channels = static_cast<int>(shape.c);
  const int64_t pixels = shape.h * shape.w;
  with_element(element, [&]<class T>(T) {
    T* const to = static_cast<T*>(y);
    for (int first = 0; first < channels; first += kLanes) {
      const Colours colours = colours_of(input, first);
      if (images == DType::uint8)
        launch(stream, shape.n * pixels,
               TransformImages<uint8_t, T>{static_cast<const uint8_t*>(feed.images), feed.shift, mirror, shape.c, 1,
                                           channels, colours, feed.results, to});
      else
        launch(stream, shape.n * pixels,
               TransformImages<float, T>{static_cast<const float*>(feed.images), feed.shift, mirror, 1, pixels,
                                         channels, colours, feed.results, to});
    }
  });
}

void image_gradient(Stream stream, Element element, const void* dy, const Feed& feed, const Shape& shape,
                    const Input& input, float* dx) {
  const Mirror mirror = {Divider(shape.h), Divider(shape.w), feed.flip};
  const int channels = static_cast<int>(shape.c);
  with_element(element, [&]<class T>(T) {
    for (int first = 0; first < channels; first += kLanes)
      launch(stream, shape.n * shape.h * shape.w,
             ImageGradient<T>{static_cast<const T*>(dy), mirror, channels, colours_of(input, first), dx});
  });
}

}  // namespace vggnet::cuda
