#pragma once
// What one sample of a convolution is the sum of. A sample is eight neighbouring channels of what a graph writes.
#include <algorithm>

#include "backend/cuda/convolution_graph.hpp"
#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {

#ifndef VGGNET_SAMPLE_TERMS  // the stand-in of the tests takes fewer: a host computes them
#define VGGNET_SAMPLE_TERMS (1 << 29)
#endif
inline constexpr int64_t kSampleTerms = VGGNET_SAMPLE_TERMS;  // of all samples together, about
inline constexpr int64_t kSampleItems = 1 << 17;  // fill a large card
inline constexpr uint64_t kSampleSeed = 0x76676e6574;

struct Doubles {
  double at[kLanes];
};

struct SampleSizes {
  int64_t n, c, h, w, k, kernel_h, kernel_w, padding;
  Divider out_h, out_w, columns, groups, outputs;  // columns of the kernel, groups of c; outputs: k
  int64_t steps, samples;
  Divider strips{1};

  explicit SampleSizes(const ConvolutionGraph& g)
      : n(g.n), c(g.c), h(g.h), w(g.w), k(g.k), kernel_h(g.kernel_h), kernel_w(g.kernel_w), padding(g.padding),
        out_h(g.out_h()), out_w(g.out_w()), columns(g.kernel_w), groups(g.c / kLanes), outputs(g.k) {
    VGGNET_ASSERT(c % kLanes == 0 && k % kLanes == 0);
    const int64_t positions = kernel_h * kernel_w;
    steps = g.direction == Direction::forward          ? positions * (c / kLanes)
            : g.direction == Direction::input_gradient ? positions * k
                                                       : n * g.out_h() * g.out_w();
    samples = std::clamp<int64_t>(kSampleTerms / steps, 64, 1024);
    strips = Divider(std::clamp<int64_t>(steps / 32, 1, kSampleItems / samples));
  }
};

// Which eight elements a sample is: of y or dx an image, a pixel and a group of channels; of dw an output, a position in
// the kernel and a group.
struct Spot {
  int64_t first, row, column, group;
  int64_t rows, columns, groups;

  VGGNET_HOST_DEVICE int64_t index() const { return ((first * rows + row) * columns + column) * groups + group; }
};

// A quarter lies at the edges.
VGGNET_HOST_DEVICE inline int64_t pick(uint32_t word, int64_t count) {
  const uint32_t choice = word & 7;
  return choice == 0 ? 0 : choice == 1 ? count - 1 : (word >> 3) % static_cast<uint32_t>(count);
}

VGGNET_HOST_DEVICE inline Spot spot_of(int64_t sample, int64_t count, int64_t rows, int64_t columns, int64_t groups) {
  const Philox bits = philox(kSampleSeed, static_cast<uint32_t>(sample), 0, 0, 0);
  return {pick(bits.word[0], count), pick(bits.word[1], rows), pick(bits.word[2], columns), pick(bits.word[3], groups),
          rows, columns, groups};
}

VGGNET_HOST_DEVICE inline void add_products(double factor, const Floats& x, Doubles& sum) {
  for (int i = 0; i < kLanes; ++i) sum.at[i] += factor * x.at[i];
}

// A step is eight channels of the input at a position in the kernel.
template <class T>
struct ForwardTerms {
  using Written = T;
  const T *x, *weights, *bias;
  const T* written;
  bool relu;

  VGGNET_HOST_DEVICE Spot spot(int64_t sample, const SampleSizes& s) const {
    return spot_of(sample, s.n, s.out_h.divisor(), s.out_w.divisor(), s.k / kLanes);
  }
  VGGNET_HOST_DEVICE void add(const Spot& spot, int64_t step, const SampleSizes& s, Doubles& sum) const {
    const Division part = divide(step, s.groups), at = divide(part.whole, s.columns);
    const int64_t position = part.whole, group = part.rest;
    const int64_t row = spot.row + at.whole - s.padding, column = spot.column + at.rest - s.padding;
    if (row < 0 || row >= s.h || column < 0 || column >= s.w) return;
    const Floats values = load_group(x, ((spot.first * s.h + row) * s.w + column) * (s.c / kLanes) + group);
    for (int i = 0; i < kLanes; ++i) {
      const int64_t output = spot.group * kLanes + i;
      const Floats w = load_group(weights, (output * s.kernel_h * s.kernel_w + position) * (s.c / kLanes) + group);
      for (int j = 0; j < kLanes; ++j) sum.at[i] += static_cast<double>(values.at[j]) * w.at[j];
    }
  }
  VGGNET_HOST_DEVICE double finish(double sum, int64_t element, const SampleSizes& s) const {
    if (bias) sum += to_float(bias[element % s.k]);
    return relu && sum < 0 ? 0 : sum;
  }
};

// A step is one output at a position in the kernel.
template <class T>
struct InputGradientTerms {
  using Written = T;
  const T *dy, *weights, *mask;
  float mask_scale;
  const T* written;

  VGGNET_HOST_DEVICE Spot spot(int64_t sample, const SampleSizes& s) const {
    return spot_of(sample, s.n, s.h, s.w, s.c / kLanes);
  }
  VGGNET_HOST_DEVICE void add(const Spot& spot, int64_t step, const SampleSizes& s, Doubles& sum) const {
    const Division part = divide(step, s.outputs), at = divide(part.whole, s.columns);
    const int64_t position = part.whole, output = part.rest;
    const int64_t row = spot.row + s.padding - at.whole, column = spot.column + s.padding - at.rest;
    if (row < 0 || row >= s.out_h.divisor() || column < 0 || column >= s.out_w.divisor()) return;
    const int64_t pixel = (spot.first * s.out_h.divisor() + row) * s.out_w.divisor() + column;
    add_products(to_float(dy[pixel * s.k + output]),
                 load_group(weights, (output * s.kernel_h * s.kernel_w + position) * (s.c / kLanes) + spot.group), sum);
  }
  VGGNET_HOST_DEVICE double finish(double sum, int64_t element, const SampleSizes&) const {
    if (!mask) return sum;
    return to_float(mask[element]) > 0 ? sum * mask_scale : 0;
  }
};

// A step is a pixel of the output.
template <class T>
struct WeightGradientTerms {
  using Written = float;
  const T *x, *dy;
  const float* written;

  VGGNET_HOST_DEVICE Spot spot(int64_t sample, const SampleSizes& s) const {
    return spot_of(sample, s.k, s.kernel_h, s.kernel_w, s.c / kLanes);
  }
  VGGNET_HOST_DEVICE void add(const Spot& spot, int64_t step, const SampleSizes& s, Doubles& sum) const {
    const Division line = divide(step, s.out_w), image = divide(line.whole, s.out_h);
    const int64_t row = image.rest + spot.row - s.padding, column = line.rest + spot.column - s.padding;
    if (row < 0 || row >= s.h || column < 0 || column >= s.w) return;
    add_products(to_float(dy[step * s.k + spot.first]),
                 load_group(x, ((image.whole * s.h + row) * s.w + column) * (s.c / kLanes) + spot.group), sum);
  }
  VGGNET_HOST_DEVICE double finish(double sum, int64_t, const SampleSizes&) const { return sum; }
};

}  // namespace vggnet::cuda
