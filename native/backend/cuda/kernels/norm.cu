// Local response normalisation. An item is eight channels of a pixel; its neighbours' channels are read again, and the
// windows reach into the groups beside it. Padding is zero, so that windows need no end but the last group's.
#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"

namespace vggnet::cuda {
namespace {

// Calls body(i, j) for all pairs of lanes that lie j - i = kDistance apart, in order of i; unrolled.
template <int kDistance, class Body>
VGGNET_HOST_DEVICE void for_pairs(const Body& body) {
  constexpr int first = kDistance < 0 ? -kDistance : 0, end = kDistance < 0 ? 8 : 8 - kDistance;
  for (int i = first; i < end; ++i) body(i, i + kDistance);
}

// How far a window reaches from its channel.
struct Reach {
  int before, after;
};

// sum[j] += the terms that lie in the window of lane j, where `terms` are those of the group `away` groups further on.
// All comparisons are the same for all threads.
template <int kDistance = 7>
VGGNET_HOST_DEVICE void add_window(const Floats& terms, int away, Reach reach, Floats& sum) {
  const int to = 8 * away - kDistance;  // from lane j = i + kDistance to term i
  if (to >= -reach.before && to <= reach.after)
    for_pairs<kDistance>([&](int i, int j) { sum.at[j] += terms.at[i]; });
  if constexpr (kDistance > -7) add_window<kDistance - 1>(terms, away, reach, sum);
}

struct Norm {
  Reach reach;
  float k, alpha, beta;
  Divider groups;

  Norm(const Shape& shape, const LocalNorm& norm)
      : reach{norm.size / 2, (norm.size - 1) / 2}, k(norm.k), alpha(norm.alpha), beta(norm.beta),
        groups(padded(shape.c) / kLanes) {}
};

VGGNET_HOST_DEVICE inline int groups_reached(int channels) { return (channels + 7) / 8; }

// k + alpha * sum a^2 for each channel of the group `group` of the pixel at `pixel`; NaN where the sum overflows, whose
// negative power would be 0
template <class T>
VGGNET_HOST_DEVICE Floats scales(const T* pixel, int group, const Norm& norm) {
  Floats sum = {};
  for (int away = -groups_reached(norm.reach.before); away <= groups_reached(norm.reach.after); ++away) {
    if (group + away < 0 || group + away >= norm.groups.divisor()) continue;
    Floats terms = load_group(pixel, group + away);
    for (int i = 0; i < kLanes; ++i) terms.at[i] *= terms.at[i];
    add_window(terms, away, norm.reach, sum);
  }
  for (int i = 0; i < kLanes; ++i) {
    const float scale = norm.k + norm.alpha * sum.at[i];
    sum.at[i] = scale + (scale - scale);
  }
  return sum;
}

template <class T>
struct LocalNormForward {
  const T* x;
  Norm norm;
  T* y;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const int group = static_cast<int>(divide(item, norm.groups).rest);
    const T* const pixel = x + (item - group) * kLanes;
    const Floats scale = scales(pixel, group, norm);
    Floats values = load_group(pixel, group);
    for (int i = 0; i < kLanes; ++i) values.at[i] *= exp2f(-norm.beta * log2f(scale.at[i]));
    store_group(values, y, item);
  }
};

// With s the scale: dx = dy s^-beta - 2 alpha beta x sum(dy x s^(-beta-1)), over the channels whose windows hold x's.
template <class T>
struct LocalNormGradient {
  const T *dy, *x;
  Norm norm;
  T* dx;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const int group = static_cast<int>(divide(item, norm.groups).rest);
    const int64_t pixel = (item - group) * kLanes;
    const Reach reach = {norm.reach.after, norm.reach.before};
    Floats sum = {};
    for (int away = -groups_reached(reach.before); away <= groups_reached(reach.after); ++away) {
      if (group + away < 0 || group + away >= norm.groups.divisor()) continue;
      const Floats scale = scales(x + pixel, group + away, norm), value = load_group(x + pixel, group + away),
                   gradient = load_group(dy + pixel, group + away);
      Floats terms = {};
      for (int i = 0; i < kLanes; ++i) {
        const bool wanted = 8 * away + i >= -reach.before && 8 * away + i <= 7 + reach.after;
        if (wanted) terms.at[i] = gradient.at[i] * value.at[i] * exp2f((-norm.beta - 1) * log2f(scale.at[i]));
      }
      add_window(terms, away, reach, sum);
    }
    const Floats scale = scales(x + pixel, group, norm), value = load_group(x + pixel, group),
                 gradient = load_group(dy + pixel, group);
    const float factor = 2 * norm.alpha * norm.beta;
    Floats result;
    for (int i = 0; i < kLanes; ++i)
      result.at[i] = gradient.at[i] * exp2f(-norm.beta * log2f(scale.at[i])) - factor * value.at[i] * sum.at[i];
    store_group(result, dx, item);
  }
};

int64_t groups_of(const Shape& shape) { return stored_elements(shape) / kLanes; }

}  // namespace

void local_norm(Stream stream, Element element, const void* x, const Shape& shape, const LocalNorm& norm, void* y) {
  with_element(element, [&]<class T>(T) {
    launch(stream, groups_of(shape),
           LocalNormForward<T>{static_cast<const T*>(x), Norm(shape, norm), static_cast<T*>(y)});
  });
}

void local_norm_gradient(Stream stream, Element element, const void* dy, const void* x, const Shape& shape,
                         const LocalNorm& norm, void* dx) {
  with_element(element, [&]<class T>(T) {
    launch(stream, groups_of(shape),
           LocalNormGradient<T>{static_cast<const T*>(dy), static_cast<const T*>(x), Norm(shape, norm),
                                static_cast<T*>(dx)});
  });
}

}  // namespace vggnet::cuda
