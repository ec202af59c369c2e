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

// Strip s holds the rows s, s + strips, ...: neighbouring threads read neighbouring rows.
template <class T>
struct SumStrips {
  const T* x;
  int64_t rows, strips;
  Divider groups;  // of a row
  float* partial;  // strips x columns

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, groups);  // strip, group
    const int64_t step = strips * groups.divisor();
    Floats sum = {};
    int64_t group = item;
    VGGNET_UNROLL(4)
    for (int64_t row = position.whole; row < rows; row += strips, group += step) {
      const Floats values = load_group(x, group);
      for (int i = 0; i < kLanes; ++i) sum.at[i] += values.at[i];
    }
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

}  // namespace

int64_t partial_sums_bytes(int64_t rows, int64_t columns) {
  const Strips strips = strips_of(rows, columns);
  return (strips.first + strips.second) * columns * int64_t{sizeof(float)};
}

void sum_rows(Stream stream, Element element, const void* x, int64_t rows, int64_t columns, Gradients gradients,
              void* partial, float* sums) {
  VGGNET_ASSERT(columns % kLanes == 0);
  const Strips strips = strips_of(rows, columns);
  const int64_t groups = columns / kLanes;
  float *const first = static_cast<float*>(partial), *const second = first + strips.first * columns;
  with_element(element, [&]<class T>(T) {
    launch(stream, strips.first * groups,
           SumStrips<T>{static_cast<const T*>(x), rows, strips.first, Divider(groups), first});
  });
  const Divider divider(columns);
  if (strips.second == 0)
    return launch(stream, columns, SumColumns{first, strips.first, 1, divider, gradients, sums});
  launch(stream, strips.second * columns,
         SumColumns{first, strips.first, strips.second, divider, Gradients::overwrite, second});
  launch(stream, columns, SumColumns{second, strips.second, 1, divider, gradients, sums});
}

}  // namespace vggnet::cuda
