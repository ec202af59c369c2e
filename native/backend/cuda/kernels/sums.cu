// Sums over rows, always in the same order: first each of many strips of rows, eight channels to a thread; then the
// strips' sums, and again where there are many.
#include <algorithm>

#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kItems = 1 << 17;  // fill a large card
constexpr int64_t kLeastRows = 8;    // in a strip
constexpr int64_t kMostStrips = 128;  // that one thread adds up at the end

struct Strips {
  int64_t first, second;  // of the rows; of the first strips, or 0
};

Strips strips_of(int64_t rows, int64_t columns) {
  const int64_t most = std::max<int64_t>(kItems / (columns / kLanes), 1);
  const int64_t first = std::clamp<int64_t>(rows / kLeastRows, 1, most);
  return {first, first > kMostStrips ? kMostStrips : 0};
}

// What is summed: values as they lie.
template <class T>
struct Stored {
  const T* x;

  using Loaded = Floats;
  VGGNET_HOST_DEVICE Loaded load(int64_t group) const { return load_group(x, group); }
  VGGNET_HOST_DEVICE Floats finish(const Loaded& values, int64_t) const { return values; }
};

// A gradient that is masked, and written.
template <class T>
struct Masked {
  const T *dy, *x;
  float scale;
  T* dx;

  struct Loaded {
    Floats gradient, value;
  };
  VGGNET_HOST_DEVICE Loaded load(int64_t group) const { return {load_group(dy, group), load_group(x, group)}; }
  VGGNET_HOST_DEVICE Floats finish(const Loaded& loaded, int64_t group) const {
    Floats result;
    for (int i = 0; i < kLanes; ++i) result.at[i] = loaded.value.at[i] > 0 ? loaded.gradient.at[i] * scale : 0;
    store_group(result, dx, group);
    return result;
  }
};

VGGNET_HOST_DEVICE inline void add_to(Floats& sum, const Floats& values) {
  for (int i = 0; i < kLanes; ++i) sum.at[i] += values.at[i];
}

// Strip s holds the rows s, s + strips, ...: neighbouring threads read neighbouring rows. Two rows are loaded before one
// is finished: what is written may be what was read, so the compiler brings no load before a store.
template <class Source>
struct SumStrips {
  Source source;
  int64_t rows, strips;
  Divider groups;  // of a row
  float* partial;  // strips x columns

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, groups);  // strip, group
    const int64_t step = strips * groups.divisor();
    Floats sum = {};
    int64_t row = position.whole, group = item;
    VGGNET_UNROLL(2)
    for (; row + strips < rows; row += 2 * strips, group += 2 * step) {
      const auto first = source.load(group), second = source.load(group + step);
      add_to(sum, source.finish(first, group));
      add_to(sum, source.finish(second, group + step));
    }
    if (row < rows) add_to(sum, source.finish(source.load(group), group));
    store_group(sum, partial, item);
  }
};

// y[s][c] (+)= sum of x[s], x[s + strips], ...
struct SumColumns {
  const float* x;  // rows x columns
  int64_t rows, strips;
  Divider columns;
  Gradients gradients;
  float* y;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    double sum = gradients == Gradients::accumulate ? static_cast<double>(y[item]) : 0;
    const int64_t end = rows * columns.divisor(), step = strips * columns.divisor();
    VGGNET_UNROLL(8)
    for (int64_t at = item; at < end; at += step) sum += x[at];
    y[item] = static_cast<float>(sum);
  }
};

template <class Source>
void sum(Stream stream, const Source& source, int64_t rows, int64_t columns, Gradients gradients, void* partial,
         float* sums) {
  VGGNET_ASSERT(columns % kLanes == 0);
  const Strips strips = strips_of(rows, columns);
  const int64_t groups = columns / kLanes;
  float *const first = static_cast<float*>(partial), *const second = first + strips.first * columns;
  launch(stream, strips.first * groups, SumStrips<Source>{source, rows, strips.first, Divider(groups), first});
  const Divider divider(columns);
  if (strips.second == 0)
    return launch(stream, columns, SumColumns{first, strips.first, 1, divider, gradients, sums});
  launch(stream, strips.second * columns,
         SumColumns{first, strips.first, strips.second, divider, Gradients::overwrite, second});
  launch(stream, columns, SumColumns{second, strips.second, 1, divider, gradients, sums});
}

}  // namespace

int64_t partial_sums_bytes(int64_t rows, int64_t columns) {
  const Strips strips = strips_of(rows, columns);
  return (strips.first + strips.second) * columns * int64_t{sizeof(float)};
}

void sum_rows(Stream stream, Element element, const void* x, int64_t rows, int64_t columns, Gradients gradients,
              void* partial, float* sums) {
  with_element(element, [&]<class T>(T) {
    sum(stream, Stored<T>{static_cast<const T*>(x)}, rows, columns, gradients, partial, sums);
  });
}

void mask_and_sum_rows(Stream stream, Element element, const void* dy, const void* x, float scale, void* dx, int64_t rows,
                       int64_t columns, void* partial, float* sums) {
  with_element(element, [&]<class T>(T) {
    const Masked<T> source{static_cast<const T*>(dy), static_cast<const T*>(x), scale, static_cast<T*>(dx)};
    sum(stream, source, rows, columns, Gradients::overwrite, partial, sums);
  });
}

}  // namespace vggnet::cuda
