// The direct sums of convolution_graph.hpp, in float64.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "cudnn/engine.hpp"
#include "matrix.hpp"
#include "tensor/error.hpp"

namespace stand_in {
namespace {

using namespace vggnet::cuda;
using vggnet::Precision;

// n h w c, or a window of it for each position: the rows of what a convolution multiplies.
struct Windows {
  Precision precision;
  const void* data;
  int64_t c, h, w, window_h, window_w, padding, out_h, out_w;

  // Elements begin to end of the row of one position; a row is window_h x window_w x c.
  void read(int64_t position, int64_t begin, int64_t end, float* values) const {
    const int64_t n = position / (out_h * out_w), oh = position / out_w % out_h, ow = position % out_w;
    for (int64_t at = begin; at < end;) {
      const int64_t tap = at / c, first = at % c, count = std::min(c - first, end - at);
      const int64_t row = oh + tap / window_w - padding, column = ow + tap % window_w - padding;
      const bool inside = row >= 0 && row < h && column >= 0 && column < w;
      if (inside) load(precision, data, ((n * h + row) * w + column) * c + first, count, values);
      else std::fill_n(values, count, 0.0f);
      values += count;
      at += count;
    }
  }
};

Vectors rows_of(const Windows& windows) {
  return {Vectors::rows, [windows](int64_t row, int64_t begin, int64_t end, float* values) {
            windows.read(row, begin, end, values);
          }};
}

// y = relu(conv(x) + bias)
void forward(const ConvolutionGraph& graph, const ConvolutionOperands& operands, Flaw flaw) {
  const Precision precision = graph.precision;
  const int64_t inner = graph.kernel_h * graph.kernel_w * graph.c;
  const Windows windows{precision,      operands.x,     graph.c,       graph.h,      graph.w,
                        graph.kernel_h, graph.kernel_w, graph.padding, graph.out_h(), graph.out_w()};
  const Vectors filters{Vectors::columns, [=](int64_t k, int64_t begin, int64_t end, float* values) {
                          load(precision, operands.weights, k * inner + begin, end - begin, values);
                        }};
  const Precision exact = precision == Precision::tf32 ? Precision::float32 : precision;
  multiply(graph.n * graph.out_h() * graph.out_w(), graph.k, inner, rows_of(windows), filters,
           [&](int64_t position, const double* values) {
             for (int64_t k = 0; k < graph.k; ++k) {
               double value = values[k] + (graph.bias ? load(exact, operands.bias, k) : 0);
               if (graph.relu && (value < 0 || (flaw == Flaw::makes_not_a_number_zero && std::isnan(value)))) value = 0;
               store(element_of(precision), operands.y, position * graph.k + k, value);
             }
           });
}

// The convolution of dy with the filters turned round; its windows reach kernel - 1 - padding beyond the edge.
void input_gradient(const ConvolutionGraph& graph, const ConvolutionOperands& operands, std::vector<double>& sums) {
  VGGNET_ASSERT(graph.kernel_h == graph.kernel_w || graph.padding == 0);
  const Precision precision = graph.precision;
  const int64_t taps = graph.kernel_h * graph.kernel_w, c = graph.c, k = graph.k;
  // a row of positions beside the map at top and left: as many as the filter reaches beyond the padding
  const auto windows_row = [=](int64_t position, int64_t begin, int64_t end, float* values) {
    const int64_t n = position / (graph.h * graph.w), h = position / graph.w % graph.h, w = position % graph.w;
    for (int64_t at = begin; at < end;) {
      const int64_t tap = at / k, first = at % k, count = std::min(k - first, end - at);
      const int64_t row = h + graph.padding - tap / graph.kernel_w, column = w + graph.padding - tap % graph.kernel_w;
      const bool inside = row >= 0 && row < graph.out_h() && column >= 0 && column < graph.out_w();
      if (inside) load(precision, operands.dy, ((n * graph.out_h() + row) * graph.out_w() + column) * k + first, count, values);
      else std::fill_n(values, count, 0.0f);
      values += count;
      at += count;
    }
  };
  const auto filter_row = [=](int64_t inner, int64_t begin, int64_t end, float* values) {
    const int64_t tap = inner / k, filter = inner % k;
    load(precision, operands.weights, (filter * taps + tap) * c + begin, end - begin, values);
  };
  sums.assign(c, 0);
  multiply(graph.n * graph.h * graph.w, c, taps * k, {Vectors::rows, windows_row}, {Vectors::rows, filter_row},
           [&](int64_t position, const double* values) {
             for (int64_t i = 0; i < c; ++i) {
               const bool kept = !graph.mask || load(precision, operands.mask, position * c + i) > 0;
               const double value = kept ? values[i] : 0;
               sums[i] += value;
               store(element_of(precision), operands.dx, position * c + i, value);
             }
           });
}

void weight_gradient(const ConvolutionGraph& graph, const ConvolutionOperands& operands) {
  const Precision precision = graph.precision;
  const int64_t columns = graph.kernel_h * graph.kernel_w * graph.c;
  const Windows windows{precision,      operands.x,     graph.c,       graph.h,      graph.w,
                        graph.kernel_h, graph.kernel_w, graph.padding, graph.out_h(), graph.out_w()};
  const auto gradients = [=](int64_t position, int64_t begin, int64_t end, float* values) {
    load(precision, operands.dy, position * graph.k + begin, end - begin, values);
  };
  multiply(graph.k, columns, graph.n * graph.out_h() * graph.out_w(), {Vectors::columns, gradients}, rows_of(windows),
           [&](int64_t k, const double* values) {
             for (int64_t i = 0; i < columns; ++i) store(Element::float32, operands.dw, k * columns + i, values[i]);
           });
}

// As when partial sums are added in the order of their arrival.
void disturb(float* values, int64_t count) {
  thread_local std::minstd_rand random;
  for (int64_t i = 0; i < count; ++i) values[i] *= 1 + static_cast<float>(random() % 3) * 0x1p-23f;
}

// By 5 percent, in what is not zero.
void spoil(Element element, void* data, int64_t count) {
  const Precision precision = element == Element::bfloat16 ? Precision::bf16 : Precision::float32;
  for (int64_t i = 0; i < count; ++i) store(element, data, i, 1.05 * load(precision, data, i));
}

}  // namespace

void compute(Plan& plan, const ConvolutionOperands& operands) {
  ConvolutionGraph graph = plan.graph.shape;
  const Flaw flaw = plan.engine.flaw;
  const Element element = element_of(graph.precision);
  if (graph.precision == Precision::float32 && plan.engine.tensor_cores) graph.precision = Precision::tf32;
  const int64_t weights = graph.k * graph.kernel_h * graph.kernel_w * graph.c;
  std::vector<double> sums;
  switch (graph.direction) {
    case Direction::forward:
      forward(graph, operands, flaw);
      if (flaw == Flaw::wrong) spoil(element, operands.y, graph.n * graph.out_h() * graph.out_w() * graph.k);
      break;
    case Direction::input_gradient:
      input_gradient(graph, operands, sums);
      if (flaw == Flaw::wrong) spoil(element, operands.dx, graph.n * graph.h * graph.w * graph.c);
      break;
    case Direction::weight_gradient:
      weight_gradient(graph, operands);
      if (flaw == Flaw::wrong) spoil(Element::float32, operands.dw, weights);
      if (flaw == Flaw::nondeterministic) disturb(operands.dw, weights);
  }
  if (!graph.sums_gradient) return;
  const bool adds = plan.runs++ % 2 == 0;  // a plan may add to the sums or overwrite them: in turn both
  for (int64_t i = 0; i < graph.c; ++i) operands.sums[i] = static_cast<float>(sums[i] + (adds ? operands.sums[i] : 0));
}

}  // namespace stand_in
