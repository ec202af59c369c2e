// The first layer: raw images to (pixel + shift - mean) * scale, and the gradient back in the caller's pixel scale.
#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

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
  T* y;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Source from = mirror.source(item);
    const Pixel* const pixel = raw + from.image * mirror.pixels() * channels + from.pixel * step;
    Floats values = {};
    for (int c = 0; c < kMostColours; ++c)
      if (c < channels) values.at[c] = static_cast<float>(pixel[c * plane]);
    for (int c = 0; c < kMostColours; ++c)
      if (c < channels)
        values.at[c] = (values.at[c] + shift[from.image * channels + c] - colours.mean[c]) * colours.scale[c];
    store_group(values, y, item);
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
    const Floats values = load_group(dy, item);
    float* const pixel = dx + to.image * mirror.pixels() * channels + to.pixel;
    for (int c = 0; c < kMostColours; ++c)
      if (c < channels) pixel[c * mirror.pixels()] = values.at[c] * colours.scale[c];
  }
};

}  // namespace

void transform_images(Stream stream, Element element, const Feed& feed, DType images, const Shape& shape,
                      const Colours& colours, void* y) {
  VGGNET_ASSERT(shape.c <= kMostColours);
  const Mirror mirror = {Divider(shape.h), Divider(shape.w), feed.flip};
  const int channels = static_cast<int>(shape.c);
  const int64_t pixels = shape.h * shape.w;
  with_element(element, [&]<class T>(T) {
    T* const to = static_cast<T*>(y);
    if (images == DType::uint8)
      launch(stream, shape.n * pixels,
             TransformImages<uint8_t, T>{static_cast<const uint8_t*>(feed.images), feed.shift, mirror, shape.c, 1,
                                         channels, colours, to});
    else
      launch(stream, shape.n * pixels,
             TransformImages<float, T>{static_cast<const float*>(feed.images), feed.shift, mirror, 1, pixels, channels,
                                       colours, to});
  });
}

void image_gradient(Stream stream, Element element, const void* dy, const Feed& feed, const Shape& shape,
                    const Colours& colours, float* dx) {
  VGGNET_ASSERT(shape.c <= kMostColours);
  const Mirror mirror = {Divider(shape.h), Divider(shape.w), feed.flip};
  with_element(element, [&]<class T>(T) {
    launch(stream, shape.n * shape.h * shape.w,
           ImageGradient<T>{static_cast<const T*>(dy), mirror, static_cast<int>(shape.c), colours, dx});
  });
}

}  // namespace vggnet::cuda
