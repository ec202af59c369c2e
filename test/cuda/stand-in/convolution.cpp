// A stand-in for cuDNN's convolutions, for tests without a card: the direct sums of convolution_graph.hpp, in float64.
// It shows that a graph is given the right tensors; it says nothing of cuDNN.
#include <algorithm>
#include <map>
#include <vector>

#include "backend/cuda/convolution_graph.hpp"
#include "matrix.hpp"
#include "stream.hpp"
#include "tensor/error.hpp"
#include "trial.hpp"

namespace vggnet::cuda {
namespace {

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
      for (int64_t i = 0; i < count; ++i)
        *values++ = inside ? load(precision, data, ((n * h + row) * w + column) * c + first + i) : 0;
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
void forward(const ConvolutionGraph& graph, const ConvolutionOperands& operands) {
  const Precision precision = graph.precision;
  const int64_t inner = graph.kernel_h * graph.kernel_w * graph.c;
  const Windows windows{precision,      operands.x,     graph.c,       graph.h,      graph.w,
                        graph.kernel_h, graph.kernel_w, graph.padding, graph.out_h(), graph.out_w()};
  const Vectors filters{Vectors::columns, [=](int64_t k, int64_t begin, int64_t end, float* values) {
                          for (int64_t i = begin; i < end; ++i) *values++ = load(precision, operands.weights, k * inner + i);
                        }};
  const Precision exact = precision == Precision::tf32 ? Precision::float32 : precision;
  multiply(graph.n * graph.out_h() * graph.out_w(), graph.k, inner, rows_of(windows), filters,
           [&](int64_t position, const double* values) {
             for (int64_t k = 0; k < graph.k; ++k) {
               const double value = values[k] + (graph.bias ? load(exact, operands.bias, k) : 0);
               store(element_of(precision), operands.y, position * graph.k + k, graph.relu && value < 0 ? 0 : value);
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
    for (int64_t at = begin; at < end; ++at) {
      const int64_t row = h + graph.padding - at / k / graph.kernel_w, column = w + graph.padding - at / k % graph.kernel_w;
      const bool inside = row >= 0 && row < graph.out_h() && column >= 0 && column < graph.out_w();
      *values++ = inside ? load(precision, operands.dy, ((n * graph.out_h() + row) * graph.out_w() + column) * k + at % k) : 0;
    }
  };
  const auto filter_row = [=](int64_t inner, int64_t begin, int64_t end, float* values) {
    const int64_t tap = inner / k, filter = inner % k;
    for (int64_t i = begin; i < end; ++i) *values++ = load(precision, operands.weights, (filter * taps + tap) * c + i);
  };
  sums.assign(c, 0);
  multiply(graph.n * graph.h * graph.w, c, taps * k, {Vectors::rows, windows_row}, {Vectors::rows, filter_row},
           [&](int64_t position, const double* values) {
             for (int64_t i = 0; i < c; ++i) {
               const bool kept = !graph.mask || load(precision, operands.mask, position * c + i) > 0;
               const double value = kept ? values[i] * graph.mask_scale : 0;
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
    for (int64_t k = begin; k < end; ++k) *values++ = load(precision, operands.dy, position * graph.k + k);
  };
  multiply(graph.k, columns, graph.n * graph.out_h() * graph.out_w(), {Vectors::columns, gradients}, rows_of(windows),
           [&](int64_t k, const double* values) {
             for (int64_t i = 0; i < columns; ++i) store(Element::float32, operands.dw, k * columns + i, values[i]);
           });
}

class StandInPlan final : public ConvolutionPlan {
 public:
  StandInPlan(const ConvolutionGraph& graph, Stream stream) : graph_(graph), stream_(stream) {}
  const std::string& name() const override { return name_; }

  void run(const ConvolutionOperands& operands, void* workspace) override {
    check(operands, workspace);
    stream_->enqueue([=, this] { compute(operands, workspace); });
  }

  // As when plans are tried: x, dy and mask hold random numbers afterwards, and what it writes is spoilt.
  void try_out(const ConvolutionOperands& operands, void* workspace) {
    check(operands, workspace);
    stream_->expect_not_recording("trying plans");
    stream_->run([&] {
      const Element element = element_of(graph_.precision);
      const auto fill = [&](const void* data, int64_t count) { fill_with_random_numbers(element, const_cast<void*>(data), count); };
      if (reads_x()) fill(operands.x, input_count());
      if (reads_dy()) fill(operands.dy, output_count());
      if (graph_.mask) fill(operands.mask, input_count());
      compute(operands, workspace);
      if (graph_.direction == Direction::forward) spoil(operands.y, output_count() * bytes_of(element));
      if (graph_.direction == Direction::input_gradient) spoil(operands.dx, input_count() * bytes_of(element));
      if (graph_.direction == Direction::weight_gradient) spoil(operands.dw, weights_count() * 4);
      if (graph_.sums_gradient) spoil(operands.sums, graph_.c * 4);
    });
  }

 private:
  bool reads_x() const { return graph_.direction != Direction::input_gradient; }
  bool reads_dy() const { return graph_.direction != Direction::forward; }
  int64_t input_count() const { return graph_.n * graph_.h * graph_.w * graph_.c; }
  int64_t output_count() const { return graph_.n * graph_.out_h() * graph_.out_w() * graph_.k; }
  int64_t weights_count() const { return graph_.k * graph_.kernel_h * graph_.kernel_w * graph_.c; }

  void check(const ConvolutionOperands& operands, void* workspace) const {
    VGGNET_ASSERT(graph_.c % kLanes == 0 && graph_.k % kLanes == 0);
    const int64_t element = bytes_of(element_of(graph_.precision)), scratch = workspace_bytes(graph_);
    const Operand used{"the workspace", workspace, scratch, scratch > 0};
    const Operand x{"x", operands.x, input_count() * element, false}, dy{"dy", operands.dy, output_count() * element, false};
    const Operand weights{"weights", operands.weights, weights_count() * element, false};
    const Operand bias{"bias", operands.bias, graph_.k * element, false};
    const Operand mask{"mask", operands.mask, input_count() * element, false};
    const Operand y{"y", operands.y, output_count() * element, true}, dx{"dx", operands.dx, input_count() * element, true};
    const Operand dw{"dw", operands.dw, weights_count() * 4, true}, sums{"sums", operands.sums, graph_.c * 4, true};
    const std::string text = graph_.text();
    std::vector<Operand> all{used};
    if (graph_.direction == Direction::forward) all.insert(all.end(), {x, weights, y});
    if (graph_.direction == Direction::input_gradient) all.insert(all.end(), {dy, weights, dx});
    if (graph_.direction == Direction::weight_gradient) all.insert(all.end(), {dy, x, dw});
    if (graph_.bias) all.push_back(bias);
    if (graph_.mask) all.push_back(mask);
    if (graph_.sums_gradient) all.push_back(sums);
    expect_separate(stream_, text, all);
  }

  void compute(const ConvolutionOperands& operands, void* workspace) {
    spoil(workspace, std::min<int64_t>(workspace_bytes(graph_), 1 << 20));
    std::vector<double> sums;
    if (graph_.direction == Direction::forward) forward(graph_, operands);
    if (graph_.direction == Direction::weight_gradient) weight_gradient(graph_, operands);
    if (graph_.direction == Direction::input_gradient) input_gradient(graph_, operands, sums);
    if (!graph_.sums_gradient) return;
    for (int64_t i = 0; i < graph_.c; ++i) operands.sums[i] = static_cast<float>(sums[i]);
  }

  const ConvolutionGraph graph_;
  const Stream stream_;
  const std::string name_ = "stand-in";
};

class StandInPlans final : public ConvolutionPlans {
 public:
  explicit StandInPlans(Stream stream) : stream_(stream) {}

  ConvolutionPlan& choose(const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* workspace) override {
    std::unique_ptr<StandInPlan>& plan = plans_[graph.text()];
    if (plan) return *plan;
    plan = std::make_unique<StandInPlan>(graph, stream_);
    plan->try_out(operands, workspace);
    return *plan;
  }

 private:
  const Stream stream_;
  std::map<std::string, std::unique_ptr<StandInPlan>> plans_;
};

}  // namespace

std::unique_ptr<ConvolutionPlans> make_convolution_plans(Device& device, const std::atomic<bool>*) {
  return std::make_unique<StandInPlans>(device.stream());
}

}  // namespace vggnet::cuda
