// Convolutions, alone or with the pool after them. Of a pooled convolution only the pooled output and the index live
// until the backward pass: the full-size output, and later its gradient, lie in the workspace.
#include "backend/cuda/convolution.hpp"

#include <algorithm>

#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kPart = 256;  // bytes; parts of the workspace begin at multiples

// The calls of one convolution: graphs, and what cuDNN leaves to us.
class ConvolutionPasses {
 public:
  ConvolutionPasses(const Convolution& layer, const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting), context_(context), graphs_(graphs_of(layer, input, context, setting)) {
    for (const ConvolutionGraph& graph : graphs_.all())
      scratch_bytes_ = std::max(scratch_bytes_, round_up(workspace_bytes(graph), kPart));
    const ConvolutionGraph& graph = graphs_.forward;
    if (graphs_.weight_gradient) {
      weights_count_ = graph.k * graph.kernel_h * graph.kernel_w * graph.c;
      part_bytes_ = round_up(4 * weights_count_, kPart);
    }
    if (context.wants_bias_gradient)
      part_bytes_ = std::max(part_bytes_, round_up(partial_sums_bytes(output_rows(), graph.k), kPart));
    if (sums()) part_bytes_ = std::max(part_bytes_, sums_bytes() + round_up(partial_sums_bytes(input_rows(), graph.c), kPart));
  }

  void describe(Requirements& requirements) const {
    requirements.workspace_bytes = scratch_bytes_ + part_bytes_;
    requirements.input_in_backward = context_.training && (context_.wants_parameter_gradients ||
                                                           (context_.wants_input_gradient && context_.mask_input));
    requirements.gives_bias_gradient_below = sums();
    requirements.algorithm = "cudnn";
  }

  // `output` and `grad_output` are full size, wherever they lie.
  void bind(const Binding& binding, void* output, void* grad_output) {
    binding_ = binding;
    refresh();  // plans are checked with the weights as they are
    part_ = static_cast<char*>(binding.workspace) + scratch_bytes_;
    operands_.x = binding.input.data;
    operands_.weights = setting_.parameters->operand(binding.weight);
    operands_.bias = setting_.parameters->operand(binding.bias);
    operands_.y = output;
    operands_.dy = grad_output;
    operands_.dx = binding.grad_input.data;
    operands_.mask = binding.input.data;
    operands_.dw = binding.grad_weight;
    operands_.sums = reinterpret_cast<float*>(part_);
    operands_.partial = static_cast<char*>(part_) + sums_bytes();

    forward_ = choose(graphs_.forward);
    if (graphs_.weight_gradient && binding.grad_weight) {
      ConvolutionOperands trial_operands = operands_;  // gradients of an earlier micro-batch stay as they are
      trial_operands.dw = reinterpret_cast<float*>(part_);
      weight_gradient_ = &setting_.convolutions->choose(*graphs_.weight_gradient, trial_operands, binding.workspace);
    }
    if (graphs_.input_gradient && operands_.dx) input_gradient_ = choose(*graphs_.input_gradient);
  }

  void refresh() { setting_.parameters->refresh(*setting_.device); }
  void forward() { forward_->run(operands_, binding_.workspace); }

  void backward(Gradients gradients) {
    if (weight_gradient_) add_weight_gradient(gradients);
    if (context_.wants_bias_gradient && binding_.grad_bias)
      sum_rows(setting_.stream(), setting_.element(), operands_.dy, output_rows(), graphs_.forward.k, gradients, part_,
               binding_.grad_bias);
    if (input_gradient_) give_input_gradient(gradients);
  }

 private:
  bool sums() const { return graphs_.input_gradient && graphs_.input_gradient->sums_gradient; }
  int64_t output_rows() const { return graphs_.forward.n * graphs_.forward.out_h() * graphs_.forward.out_w(); }
  int64_t input_rows() const { return graphs_.forward.n * graphs_.forward.h * graphs_.forward.w; }
  int64_t sums_bytes() const { return round_up(4 * graphs_.forward.c, kPart); }

  ConvolutionPlan* choose(const ConvolutionGraph& graph) {
    return &setting_.convolutions->choose(graph, operands_, binding_.workspace);
  }

  void add_weight_gradient(Gradients gradients) {
    if (gradients == Gradients::overwrite) return weight_gradient_->run(operands_, binding_.workspace);
    ConvolutionOperands operands = operands_;
    operands.dw = reinterpret_cast<float*>(part_);
    weight_gradient_->run(operands, binding_.workspace);
    add(setting_.stream(), operands.dw, binding_.grad_weight, weights_count_);
  }

  void give_input_gradient(Gradients gradients) {
    ConvolutionOperands operands = operands_;
    const bool adds = gradients == Gradients::accumulate;
    if (sums() && binding_.grad_bias_below && !adds) operands.sums = binding_.grad_bias_below;
    input_gradient_->run(operands, binding_.workspace);
    if (sums() && binding_.grad_bias_below && adds)
      add(setting_.stream(), operands.sums, binding_.grad_bias_below, graphs_.forward.c);
  }

  const Setting setting_;
  const Context context_;
  const ConvolutionGraphs graphs_;
  // of the workspace: cuDNN's, then a weight gradient, or sums and their scratch
  int64_t scratch_bytes_ = 0, part_bytes_ = 0;
  int64_t weights_count_ = 0;
  Binding binding_;
  ConvolutionOperands operands_;
  void* part_ = nullptr;
  ConvolutionPlan *forward_ = nullptr, *weight_gradient_ = nullptr, *input_gradient_ = nullptr;
};

class ConvolutionStage final : public Stage {
 public:
  ConvolutionStage(const Convolution& layer, const Shape& input, const Context& context, const Setting& setting)
      : passes_(layer, input, context, setting) {
    passes_.describe(requirements_);
  }
  void bind(const Binding& binding) override { passes_.bind(binding, binding.output.data, binding.grad_output.data); }
  void refresh() override { passes_.refresh(); }
  void forward() override { passes_.forward(); }
  void backward(Gradients gradients) override { passes_.backward(gradients); }

 private:
  ConvolutionPasses passes_;
};

class ConvolutionPoolStage final : public Stage {
 public:
  ConvolutionPoolStage(const ConvolutionPool& layer, const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting),
        shape_(output_shape(layer.convolution, input)),
        pooled_(output_shape(layer.pool, shape_)),
        training_(context.training),
        wants_bias_gradient_(context.wants_bias_gradient),
        passes_(layer.convolution, input, without_bias_gradient(context), setting) {
    passes_.describe(requirements_);
    full_at_ = requirements_.workspace_bytes;
    sums_at_ = full_at_ + round_up(stored_elements(shape_) * setting.element_bytes(), kPart);
    requirements_.workspace_bytes = sums_at_;
    if (!training_) return;
    requirements_.saved = {{"index", stored_elements(pooled_)}};
    if (wants_bias_gradient_)
      requirements_.workspace_bytes += partial_sums_bytes(pooled_.n * pooled_.h * pooled_.w, padded(pooled_.c));
  }

  void bind(const Binding& binding) override {
    binding_ = binding;
    full_ = static_cast<char*>(binding.workspace) + full_at_;
    partial_ = static_cast<char*>(binding.workspace) + sums_at_;
    passes_.bind(binding, full_, full_);
  }

  void refresh() override { passes_.refresh(); }

  void forward() override {
    passes_.forward();
    pool(setting_.stream(), setting_.element(), full_, shape_, binding_.output.data, index());
  }

  // The bias gradient is a sum over the pooled gradient: all others are zero.
  void backward(Gradients gradients) override {
    if (wants_bias_gradient_ && binding_.grad_bias)
      sum_rows(setting_.stream(), setting_.element(), binding_.grad_output.data, pooled_.n * pooled_.h * pooled_.w,
               padded(pooled_.c), gradients, partial_, binding_.grad_bias);
    pool_gradient(setting_.stream(), setting_.element(), binding_.grad_output.data, index(), shape_, 1, full_);
    passes_.backward(gradients);
  }

 private:
  static Context without_bias_gradient(Context context) {
    context.wants_bias_gradient = false;
    return context;
  }
  uint8_t* index() const { return training_ ? static_cast<uint8_t*>(binding_.saved[0]) : nullptr; }

  const Setting setting_;
  const Shape shape_, pooled_;  // of the convolution's output and the stage's
  const bool training_, wants_bias_gradient_;
  ConvolutionPasses passes_;
  int64_t full_at_ = 0, sums_at_ = 0;  // bytes into the workspace
  Binding binding_;
  void *full_ = nullptr, *partial_ = nullptr;
};

}  // namespace

std::vector<ConvolutionGraph> ConvolutionGraphs::all() const {
  std::vector<ConvolutionGraph> graphs = {forward};
  if (weight_gradient) graphs.push_back(*weight_gradient);
  if (input_gradient) graphs.push_back(*input_gradient);
  return graphs;
}

ConvolutionGraphs graphs_of(const Convolution& layer, const Shape& input, const Context& context,
                            const Setting& setting) {
  ConvolutionGraph graph{};
  graph.direction = Direction::forward;
  graph.n = input.n;
  graph.c = padded(input.c);
  graph.h = input.h;
  graph.w = input.w;
  graph.k = padded(layer.outputs);
  graph.kernel_h = graph.kernel_w = layer.kernel;
  graph.padding = layer.kernel / 2;
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
    graphs.input_gradient->sums_gradient = context.may_give_bias_gradient_below && context.mask_input;
  }
  return graphs;
}

std::unique_ptr<Stage> make_stage(const Convolution& layer, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<ConvolutionStage>(layer, input, context, setting);
}

std::unique_ptr<Stage> make_stage(const ConvolutionPool& layer, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<ConvolutionPoolStage>(layer, input, context, setting);
}

}  // namespace vggnet::cuda
