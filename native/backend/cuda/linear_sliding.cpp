// Dense evaluation: a window that slides over a larger input, as a convolution.
#include <algorithm>

#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/linear.hpp"

namespace vggnet::cuda {
namespace {

class SlidingStage final : public LinearStage {
 public:
  SlidingStage(const Linear& layer, const Shape& input, const Context& context, const Setting& setting,
               const ConvolutionGraphs& graphs)
      : LinearStage(layer, input, context, setting), graphs_(graphs), converts_(result_ != setting.element()) {
    int64_t library_bytes = 0;
    for (const ConvolutionGraph& graph : graphs.all()) library_bytes = std::max(library_bytes, workspace_bytes(graph));
    lay_out(library_bytes, converts_ ? output_elements() * setting.element_bytes() : 0);
    requirements_.algorithm = "cudnn";
  }

 private:
  int64_t output_elements() const { return rows_ * outputs_; }

  void choose_plans() override {
    operands_.x = operands_.mask = binding_.input.data;
    operands_.weights = setting_.parameters->operand(binding_.weight);
    operands_.bias = setting_.parameters->operand(binding_.bias);
    operands_.y = converts_ ? forward_scratch() : binding_.output.data;
    operands_.dy = binding_.grad_output.data;
    operands_.dx = binding_.grad_input.data;
    forward_ = choose(graphs_.forward, operands_);
    if (graphs_.weight_gradient && binding_.grad_weight) {
      ConvolutionOperands trial_operands = operands_;  // gradients of an earlier micro-batch stay as they are
      trial_operands.dw = weight_scratch();
      weight_gradient_ = choose(*graphs_.weight_gradient, trial_operands);
    }
    if (graphs_.input_gradient && operands_.dx) input_gradient_ = choose(*graphs_.input_gradient, operands_);
  }

  void write_output() override {
    forward_->run(operands_, binding_.workspace);
    if (converts_)
      convert(setting_.stream(), setting_.element(), operands_.y, binding_.output.floats(), output_elements());
  }

  void write_parameter_gradients(float* weight, float* bias) override {
    ConvolutionOperands operands = operands_;
    operands.dw = weight;
    weight_gradient_->run(operands, binding_.workspace);
    if (bias) sum_output_gradient(bias);
  }

  void write_input_gradient() override { input_gradient_->run(operands_, binding_.workspace); }

  ConvolutionPlan* choose(const ConvolutionGraph& graph, const ConvolutionOperands& operands) {
    return &setting_.convolutions->choose(graph, operands, binding_.workspace);
  }

  const ConvolutionGraphs graphs_;
  const bool converts_;  // cuDNN writes elements of the precision, the scores are float32
  ConvolutionOperands operands_;
  ConvolutionPlan *forward_ = nullptr, *weight_gradient_ = nullptr, *input_gradient_ = nullptr;
};

}  // namespace

std::optional<ConvolutionGraphs> graphs_of(const Linear& layer, const Shape& input, const Context& context,
                                           const Setting& setting) {
  const bool covers = layer.window_h == input.h && layer.window_w == input.w;
  if (covers || (layer.window_h == 1 && layer.window_w == 1)) return std::nullopt;
  ConvolutionGraph graph{};
  graph.direction = Direction::forward;
  graph.n = input.n;
  graph.c = padded(input.c);
  graph.h = input.h;
  graph.w = input.w;
  graph.k = padded(layer.outputs);
  graph.kernel_h = layer.window_h;
  graph.kernel_w = layer.window_w;
  graph.precision = setting.precision;
  graph.deterministic = setting.deterministic;
  graph.exact = context.exact;

  ConvolutionGraphs graphs{graph, std::nullopt, std::nullopt};
  graphs.forward.bias = true;
  graphs.forward.relu = !layer.relu.empty();
  if (context.training && context.wants_parameter_gradients) {
    graphs.weight_gradient = graph;
    graphs.weight_gradient->direction = Direction::weight_gradient;
  }
  if (context.training && context.wants_input_gradient) {
    graphs.input_gradient = graph;
    graphs.input_gradient->direction = Direction::input_gradient;
    graphs.input_gradient->mask = context.mask_input;
    graphs.input_gradient->mask_scale = context.mask_input ? context.mask_scale : 1;
  }
  return graphs;
}

std::unique_ptr<Stage> make_sliding_stage(const Linear& layer, const Shape& input, const Context& context,
                                          const Setting& setting, const ConvolutionGraphs& graphs) {
  return std::make_unique<SlidingStage>(layer, input, context, setting, graphs);
}

}  // namespace vggnet::cuda
