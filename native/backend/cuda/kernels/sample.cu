// The products of a sample are dealt out to strips, which are added up in a fixed order: one element of a
// weight gradient sums over all pixels of the batch.
#include "backend/cuda/kernels/sample.hpp"

#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/sample_terms.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kChecks = 64;  // into which those of single elements are added up
constexpr int64_t kCheckBytes = sizeof(Check);
constexpr int64_t kSumStrips = 4096;

// Neighbouring items take neighbouring steps.
template <class Terms>
struct SumTerms {
  Terms terms;
  SampleSizes sizes;
  Doubles* partial;  // samples x strips

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, sizes.strips);  // sample, strip
    const Spot spot = terms.spot(position.whole, sizes);
    Doubles sum = {};
    VGGNET_UNROLL(4)
    for (int64_t step = position.rest; step < sizes.steps; step += sizes.strips.divisor())
      terms.add(spot, step, sizes, sum);
    partial[item] = sum;
  }
};

VGGNET_HOST_DEVICE inline Check compare(float written, double reference) {
  const double difference = written - reference;
  return {difference * difference, reference * reference, not_finite(written)};
}

template <class Terms>
struct CompareSamples {
  Terms terms;
  SampleSizes sizes;
  const Doubles* partial;
  Check* checks;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t sample = item / kLanes, lane = item % kLanes;
    const double* const own = reinterpret_cast<const double*>(partial + sample * sizes.strips.divisor()) + lane;
    double sum = 0;
    VGGNET_UNROLL(8)
    for (int64_t strip = 0; strip < sizes.strips.divisor(); ++strip) sum += own[strip * kLanes];
    const int64_t element = terms.spot(sample, sizes).index() * kLanes + lane;
    checks[item] = compare(to_float(terms.written[element]), terms.finish(sum, element, sizes));
  }
};

// to[i] = from[i] + from[i + strips] + ...
struct SumChecks {
  const Check* from;
  int64_t count, strips;
  Check* to;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    Check sum = {};
    VGGNET_UNROLL(4)
    for (int64_t i = item; i < count; i += strips) {
      sum.difference += from[i].difference;
      sum.reference += from[i].reference;
      sum.not_finite += from[i].not_finite;
    }
    to[item] = sum;
  }
};

void sum_checks(Stream stream, Check* checks, int64_t count, Check* result) {
  Check* const some = checks + count;
  launch(stream, kChecks, SumChecks{checks, count, kChecks, some});
  launch(stream, 1, SumChecks{some, kChecks, 1, result});
}

template <class Terms>
void check(Stream stream, const ConvolutionGraph& graph, const Terms& terms, void* scratch, Check* result) {
  const SampleSizes sizes(graph);
  Doubles* const partial = static_cast<Doubles*>(scratch);
  Check* const checks = reinterpret_cast<Check*>(partial + sizes.samples * sizes.strips.divisor());
  launch(stream, sizes.samples * sizes.strips.divisor(), SumTerms<Terms>{terms, sizes, partial});
  launch(stream, sizes.samples * kLanes, CompareSamples<Terms>{terms, sizes, partial, checks});
  sum_checks(stream, checks, sizes.samples * kLanes, result);
}

template <class T>
struct SumPixels {
  const T* dx;
  int64_t pixels, strips, groups;
  Doubles* partial;  // strips x groups

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    Doubles sum = {};
    VGGNET_UNROLL(4)
    for (int64_t at = item; at < pixels * groups; at += strips * groups) add_products(1, load_group(dx, at), sum);
    partial[item] = sum;
  }
};

struct CompareSums {
  const double* partial;  // strips x channels
  int64_t strips, channels;
  const float* written;
  Check* checks;

  VGGNET_HOST_DEVICE void operator()(int64_t channel) const {
    double sum = 0;
    VGGNET_UNROLL(8)
    for (int64_t strip = 0; strip < strips; ++strip) sum += partial[strip * channels + channel];
    checks[channel] = compare(written[channel], sum);
  }
};

struct SumsSizes {
  int64_t pixels, groups, strips;
  explicit SumsSizes(const ConvolutionGraph& g)
      : pixels(g.n * g.h * g.w), groups(g.c / kLanes),
        strips(std::clamp<int64_t>(pixels / 8, 1, std::clamp<int64_t>(kSampleItems / groups, 1, kSumStrips))) {}
};

}  // namespace

int64_t check_scratch_bytes(const ConvolutionGraph& graph) {
  const SampleSizes samples(graph);
  const SumsSizes sums(graph);
  const int64_t partial = samples.strips.divisor() * int64_t{sizeof(Doubles)},
                of_samples = samples.samples * (partial + kLanes * kCheckBytes),
                of_sums = graph.c * (sums.strips * int64_t{sizeof(double)} + kCheckBytes);
  return std::max(of_samples, graph.sums_gradient ? of_sums : 0) + kChecks * kCheckBytes;
}

int64_t checked_elements(const ConvolutionGraph& graph) { return SampleSizes(graph).samples * kLanes; }

void check_samples(Stream stream, const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* scratch,
                   Check* result) {
  with_element(element_of(graph.precision), [&]<class T>(T) {
    const auto of = [](const void* data) { return static_cast<const T*>(data); };
    switch (graph.direction) {
      case Direction::forward:
        return check(stream, graph,
                     ForwardTerms<T>{of(operands.x), of(operands.weights), of(graph.bias ? operands.bias : nullptr),
                                     of(operands.y), graph.relu},
                     scratch, result);
      case Direction::input_gradient:
        return check(stream, graph,
                     InputGradientTerms<T>{of(operands.dy), of(operands.weights),
                                           of(graph.mask ? operands.mask : nullptr), graph.mask_scale, of(operands.dx)},
                     scratch, result);
      case Direction::weight_gradient:
        return check(stream, graph, WeightGradientTerms<T>{of(operands.x), of(operands.dy), operands.dw}, scratch,
                     result);
    }
  });
}

void check_sums(Stream stream, const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* scratch,
                Check* result) {
  VGGNET_ASSERT(graph.sums_gradient);
  const SumsSizes sizes(graph);
  Doubles* const partial = static_cast<Doubles*>(scratch);
  Check* const checks = reinterpret_cast<Check*>(partial + sizes.strips * sizes.groups);
  with_element(element_of(graph.precision), [&]<class T>(T) {
    launch(stream, sizes.strips * sizes.groups,
           SumPixels<T>{static_cast<const T*>(operands.dx), sizes.pixels, sizes.strips, sizes.groups, partial});
  });
  launch(stream, graph.c,
         CompareSums{reinterpret_cast<const double*>(partial), sizes.strips, graph.c, operands.sums, checks});
  sum_checks(stream, checks, graph.c, result);
}

}  // namespace vggnet::cuda
