#include "backend/cuda/kernels/elements.hpp"

#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

struct Rectify {
  VGGNET_HOST_DEVICE float operator()(float x) const { return x < 0 ? 0 : x; }  // NaN stays
};

struct Multiply {
  float factor;
  VGGNET_HOST_DEVICE float operator()(float x) const { return x * factor; }
};

struct Same {
  VGGNET_HOST_DEVICE float operator()(float x) const { return x; }
};

// y = function(x). An item takes two groups, half of the tensor apart: so many accesses are under way that memory and
// not its latency is the limit.
template <class From, class To, class Function>
struct Map {
  const From* x;
  To* y;
  int64_t groups, half;
  Function function;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const bool two = item + half < groups;
    const Floats first = load_group(x, item);
    Floats second = first;
    if (two) second = load_group(x, item + half);
    write(first, item);
    if (two) write(second, item + half);
  }

  VGGNET_HOST_DEVICE void write(Floats values, int64_t group) const {
    for (int i = 0; i < kLanes; ++i) values.at[i] = function(values.at[i]);
    store_group(values, y, group);
  }
};

template <class From, class To, class Function>
void map(Stream stream, const From* x, To* y, int64_t count, Function function) {
  VGGNET_ASSERT(count % kLanes == 0);
  const int64_t groups = count / kLanes, half = (groups + 1) / 2;
  launch(stream, half, Map<From, To, Function>{x, y, groups, half, function});
}

template <class T, class B, class Function>
struct AddBias {
  const T* x;
  const B* bias;
  T* y;
  Divider groups_in_row;
  Function function;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    Floats values = load_group(x, item);
    const Floats added = load_group(bias, divide(item, groups_in_row).rest);
    for (int i = 0; i < kLanes; ++i) values.at[i] = function(values.at[i] + added.at[i]);
    store_group(values, y, item);
  }
};

template <class Function>
void add_bias_and(Stream stream, Element element, const void* x, Element bias_element, const void* bias, int64_t rows,
                  int64_t columns, void* y, Function function) {
  VGGNET_ASSERT(columns % kLanes == 0);
  const int64_t groups = columns / kLanes;
  with_element(element, [&]<class T>(T) {
    with_element(bias_element, [&]<class B>(B) {
      launch(stream, rows * groups,
             AddBias<T, B, Function>{static_cast<const T*>(x), static_cast<const B*>(bias), static_cast<T*>(y),
                                     Divider(groups), function});
    });
  });
}

template <class T>
struct Mask {
  const T *dy, *x;
  T* dx;
  float scale;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Floats gradient = load_group(dy, item), value = load_group(x, item);
    Floats result;
    for (int i = 0; i < kLanes; ++i) result.at[i] = value.at[i] > 0 ? gradient.at[i] * scale : 0;
    store_group(result, dx, item);
  }
};

struct Add {
  const float* x;
  float* y;
  int64_t count;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t first = 4 * item;
    if (first + 4 > count) {
      for (int64_t i = first; i < count; ++i) y[i] += x[i];
      return;
    }
    const Words from = reinterpret_cast<const Words*>(x)[item];
    Words to = reinterpret_cast<const Words*>(y)[item];
    for (int i = 0; i < 4; ++i) to.at[i] = bits_of(float_of(to.at[i]) + float_of(from.at[i]));
    reinterpret_cast<Words*>(y)[item] = to;
  }
};

inline constexpr int64_t kGroupsLookedAt = 4;  // by an item of FindNotFinite

template <class T>
struct FindNotFinite {
  const T* x;
  int64_t groups, items;
  int32_t* flag;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    bool bad = false;
    for (int k = 0; k < kGroupsLookedAt; ++k) {
      const int64_t group = item + k * items;
      if (group >= groups) break;
      const Floats values = load_group(x, group);
      for (int i = 0; i < kLanes; ++i) bad |= not_finite(values.at[i]);
    }
    if (bad) *flag = 1;
  }
};

}  // namespace

void rectify(Stream stream, Element element, const void* x, void* y, int64_t count) {
  with_element(element, [&]<class T>(T) {
    map(stream, static_cast<const T*>(x), static_cast<T*>(y), count, Rectify{});
  });
}

void multiply(Stream stream, Element element, const void* x, float factor, void* y, int64_t count) {
  with_element(element, [&]<class T>(T) {
    map(stream, static_cast<const T*>(x), static_cast<T*>(y), count, Multiply{factor});
  });
}

void convert(Stream stream, const float* x, Element element, void* y, int64_t count) {
  with_element(element, [&]<class T>(T) { map(stream, x, static_cast<T*>(y), count, Same{}); });
}

void convert(Stream stream, Element element, const void* x, float* y, int64_t count) {
  with_element(element, [&]<class T>(T) { map(stream, static_cast<const T*>(x), y, count, Same{}); });
}

void add_bias(Stream stream, Element element, const void* x, Element bias_element, const void* bias, int64_t rows,
              int64_t columns, void* y) {
  add_bias_and(stream, element, x, bias_element, bias, rows, columns, y, Same{});
}

void add_bias_and_rectify(Stream stream, Element element, const void* x, Element bias_element, const void* bias,
                          int64_t rows, int64_t columns, void* y) {
  add_bias_and(stream, element, x, bias_element, bias, rows, columns, y, Rectify{});
}

void mask(Stream stream, Element element, const void* dy, const void* x, float scale, void* dx, int64_t count) {
  VGGNET_ASSERT(count % kLanes == 0);
  with_element(element, [&]<class T>(T) {
    launch(stream, count / kLanes,
           Mask<T>{static_cast<const T*>(dy), static_cast<const T*>(x), static_cast<T*>(dx), scale});
  });
}

void add(Stream stream, const float* x, float* y, int64_t count) { launch(stream, (count + 3) / 4, Add{x, y, count}); }

void find_not_finite(Stream stream, Element element, const void* x, int64_t count, int32_t* flag) {
  VGGNET_ASSERT(count % kLanes == 0);
  const int64_t groups = count / kLanes, items = (groups + kGroupsLookedAt - 1) / kGroupsLookedAt;
  with_element(element, [&]<class T>(T) {
    launch(stream, items, FindNotFinite<T>{static_cast<const T*>(x), groups, items, flag});
  });
}

}  // namespace vggnet::cuda
