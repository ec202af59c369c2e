// What shrinks the image: 2x2 max-pooling, and the mean over space.
#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"

namespace vggnet::cuda {
namespace {

struct alignas(8) Indices {
  uint8_t at[kLanes];
};

// Windows of 2x2 over an image. An item is eight channels of a window.
struct Windows {
  int64_t h, w;  // of the image
  Divider groups, columns, rows;  // of channels; windows beside and above each other

  Windows(const Shape& shape, int64_t rows, int64_t columns)
      : h(shape.h), w(shape.w), groups(padded(shape.c) / kLanes), columns(columns), rows(rows) {}
  int64_t items(int64_t n) const { return n * rows.divisor() * columns.divisor() * groups.divisor(); }
};

struct Position {
  int64_t corner;  // group of channels at the window's first pixel
  int64_t image, y, x, group;
};

VGGNET_HOST_DEVICE inline Position position_of(int64_t item, const Windows& windows) {
  const Division pixel = divide(item, windows.groups), line = divide(pixel.whole, windows.columns),
                 image = divide(line.whole, windows.rows);
  const int64_t y = 2 * image.rest, x = 2 * line.rest;
  const int64_t corner = ((image.whole * windows.h + y) * windows.w + x) * windows.groups.divisor() + pixel.rest;
  return {corner, image.whole, y, x, pixel.rest};
}

template <class T>
struct Pool {
  const T* x;
  Windows windows;
  T* y;
  Indices* index;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t corner = position_of(item, windows).corner, right = windows.groups.divisor(), below = windows.w * right;
    const Floats a = load_group(x, corner), b = load_group(x, corner + right), c = load_group(x, corner + below),
                 d = load_group(x, corner + below + right);
    Floats best = a;
    Indices from;
    for (int i = 0; i < kLanes; ++i) {
      int which = 0;
      take_larger(b.at[i], 1, best.at[i], which);
      take_larger(c.at[i], 2, best.at[i], which);
      take_larger(d.at[i], 3, best.at[i], which);
      from.at[i] = static_cast<uint8_t>(best.at[i] != best.at[i] ? 3 : which);  // as on the CPU, for NaN
    }
    store_group(best, y, item);
    if (index) index[item] = from;
  }

  VGGNET_HOST_DEVICE static void take_larger(float value, int index, float& best, int& which) {
    const bool larger = value > best || value != value;
    best = larger ? value : best;
    which = larger ? index : which;
  }
};

template <class T>
struct PoolGradient {
  const T* dy;
  const Indices* index;
  Windows windows;  // those at the edges reach beyond the image and were not pooled
  float scale;
  T* dx;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Position position = position_of(item, windows);
    const int64_t right = windows.groups.divisor(), below = windows.w * right;
    const bool has_right = position.x + 1 < windows.w, has_below = position.y + 1 < windows.h;
    Floats gradient = {};
    Indices from = {};
    if (has_right && has_below) {
      const int64_t pooled = ((position.image * (windows.h / 2) + position.y / 2) * (windows.w / 2) + position.x / 2) * right +
                             position.group;
      gradient = load_group(dy, pooled);
      from = index[pooled];
    }
    for (int i = 0; i < kLanes; ++i) gradient.at[i] *= scale;
    write(gradient, from, 0, position.corner);
    if (has_right) write(gradient, from, 1, position.corner + right);
    if (has_below) write(gradient, from, 2, position.corner + below);
    if (has_right && has_below) write(gradient, from, 3, position.corner + below + right);
  }

  VGGNET_HOST_DEVICE void write(const Floats& gradient, const Indices& from, int which, int64_t group) const {
    Floats result;
    for (int i = 0; i < kLanes; ++i) result.at[i] = from.at[i] == which ? gradient.at[i] : 0;
    store_group(result, dx, group);
  }
};

template <class T, class Result>
struct SpatialMean {
  const T* x;
  int64_t pixels;
  Divider groups;
  Result* y;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, groups);  // image, group
    int64_t group = position.whole * pixels * groups.divisor() + position.rest;
    Floats sum = {};
    VGGNET_UNROLL(4)
    for (int64_t p = 0; p < pixels; ++p, group += groups.divisor()) {
      const Floats values = load_group(x, group);
      for (int i = 0; i < kLanes; ++i) sum.at[i] += values.at[i];
    }
    for (int i = 0; i < kLanes; ++i) sum.at[i] /= static_cast<float>(pixels);
    store_group(sum, y, item);
  }
};

template <class T>
struct SpatialMeanGradient {
  const T* dy;
  Divider pixels, groups;
  T* dx;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, groups);  // pixel of the batch, group
    Floats values = load_group(dy, pixels.quotient(position.whole) * groups.divisor() + position.rest);
    for (int i = 0; i < kLanes; ++i) values.at[i] /= static_cast<float>(pixels.divisor());
    store_group(values, dx, item);
  }
};

}  // namespace

void pool(Stream stream, Element element, const void* x, const Shape& input, void* y, uint8_t* index) {
  if (input.h < 2 || input.w < 2) return;
  const Windows windows(input, input.h / 2, input.w / 2);
  with_element(element, [&]<class T>(T) {
    launch(stream, windows.items(input.n),
           Pool<T>{static_cast<const T*>(x), windows, static_cast<T*>(y), reinterpret_cast<Indices*>(index)});
  });
}

void pool_gradient(Stream stream, Element element, const void* dy, const uint8_t* index, const Shape& input,
                   float scale, void* dx) {
  const Windows windows(input, (input.h + 1) / 2, (input.w + 1) / 2);
  with_element(element, [&]<class T>(T) {
    launch(stream, windows.items(input.n),
           PoolGradient<T>{static_cast<const T*>(dy), reinterpret_cast<const Indices*>(index), windows, scale,
                           static_cast<T*>(dx)});
  });
}

void spatial_mean(Stream stream, Element element, const void* x, const Shape& input, Element result, void* y) {
  const Divider groups(padded(input.c) / kLanes);
  with_element(element, [&]<class T>(T) {
    with_element(result, [&]<class Result>(Result) {
      launch(stream, input.n * groups.divisor(),
             SpatialMean<T, Result>{static_cast<const T*>(x), input.h * input.w, groups, static_cast<Result*>(y)});
    });
  });
}

void spatial_mean_gradient(Stream stream, Element element, const void* dy, const Shape& input, void* dx) {
  const Divider groups(padded(input.c) / kLanes), pixels(input.h * input.w);
  with_element(element, [&]<class T>(T) {
    launch(stream, input.n * pixels.divisor() * groups.divisor(),
           SpatialMeanGradient<T>{static_cast<const T*>(dy), pixels, groups, static_cast<T*>(dx)});
  });
}

}  // namespace vggnet::cuda
