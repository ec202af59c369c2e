#include "backend/cuda/linear.hpp"

#include <algorithm>

#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kPart = 256;  // bytes; parts of the workspace begin at multiples

class ProductStage final : public LinearStage {
 public:
  ProductStage(const Linear& layer, const Shape& input, const Context& context, const Setting& setting)
      : LinearStage(layer, input, context, setting) {
    lay_out(kProductWorkspaceBytes, 0);
    requirements_.algorithm = "cublasLt";
  }

 private:
  // y = relu(x W^T + bias)
  void choose_plans() override {
    const void* const weights = setting_.parameters->operand(binding_.weight);
    forward_operands_ = {.a = binding_.input.data, .b = weights, .bias = bias(), .d = binding_.output.data};
    Product product{.rows = rows_,
                    .columns = outputs_,
                    .inner = columns_,
                    .transposed_b = true,
                    .precision = setting_.precision,
                    .result = result_,
                    .bias = true,
                    .relu = !layer_.relu.empty(),
                    .deterministic = setting_.deterministic};
    forward_ = choose(product, forward_operands_);
    fused_ = forward_ != nullptr;
    product.bias = product.relu = false;
    if (!fused_) forward_ = choose(product, forward_operands_);
    if (wants_parameter_gradients() && binding_.grad_weight) choose_weight_gradient();
    if (binding_.grad_input) choose_input_gradient(weights);
  }

  // dW = dy^T x. Tried out in the workspace: gradients of an earlier micro-batch stay as they are.
  void choose_weight_gradient() {
    Product product{.rows = outputs_,
                    .columns = columns_,
                    .inner = rows_,
                    .transposed_a = true,
                    .precision = setting_.precision,
                    .deterministic = setting_.deterministic};
    const ProductOperands trial_operands = {
        .a = binding_.grad_output.data, .b = binding_.input.data, .d = weight_scratch(), .sums = bias_scratch()};
    weight_gradient_ = choose(product, trial_operands);
    sums_fused_ = false;
    if (!wants_bias_gradient() || setting_.deterministic) return;  // how cuBLASLt sums, it does not say
    product.sums_a = true;
    ProductPlan* const with_sums = choose(product, trial_operands);
    if (!with_sums) return;
    const auto milliseconds = [&](ProductPlan* plan) {
      const auto gradients = [&] {
        write_parameter_gradients(*plan, plan == with_sums, trial_operands.d, trial_operands.sums);
      };
      gradients();
      return setting_.device->milliseconds([&] {
        for (int i = 0; i < 5; ++i) gradients();
      });
    };
    if (milliseconds(with_sums) >= milliseconds(weight_gradient_)) return;
    weight_gradient_ = with_sums;
    sums_fused_ = true;
  }

  // dx = dy W
  void choose_input_gradient(const void* weights) {
    const Product product{.rows = rows_,
                          .columns = columns_,
                          .inner = outputs_,
                          .precision = setting_.precision,
                          .result = setting_.element(),
                          .deterministic = setting_.deterministic};
    input_operands_ = {.a = binding_.grad_output.data, .b = weights, .d = binding_.grad_input.data};
    input_gradient_ = choose(product, input_operands_);
  }

  void write_output() override {
    forward_->run(forward_operands_, binding_.workspace);
    if (fused_) return;
    const auto finish = layer_.relu.empty() ? add_bias : add_bias_and_rectify;
    finish(setting_.stream(), result_, forward_operands_.d, result_, bias(), rows_, outputs_, forward_operands_.d);
  }

  void write_parameter_gradients(float* weight, float* bias) override {
    write_parameter_gradients(*weight_gradient_, sums_fused_, weight, bias);
  }

  void write_parameter_gradients(ProductPlan& plan, bool sums, void* weight, float* bias) {
    plan.run({.a = binding_.grad_output.data, .b = binding_.input.data, .d = weight, .sums = bias}, binding_.workspace);
    if (bias && !sums) sum_output_gradient(bias);
  }

  void write_input_gradient() override {
    input_gradient_->run(input_operands_, binding_.workspace);
    void* const dx = input_operands_.d;
    if (context_.mask_input)
      mask(setting_.stream(), setting_.element(), dx, binding_.input.data, context_.mask_scale, dx, rows_ * columns_);
  }

  // Of the elements of the output.
  const void* bias() const {
    return result_ == Element::float32 ? binding_.bias : setting_.parameters->operand(binding_.bias);
  }

  ProductPlan* choose(const Product& product, const ProductOperands& operands) {
    return setting_.products->choose(product, operands, binding_.workspace);
  }

  ProductOperands forward_operands_, input_operands_;
  ProductPlan *forward_ = nullptr, *weight_gradient_ = nullptr, *input_gradient_ = nullptr;
  bool fused_ = false, sums_fused_ = false;  // bias and ReLU; the bias gradient
};

}  // namespace

LinearStage::LinearStage(const Linear& layer, const Shape& input, const Context& context, const Setting& setting)
    : layer_(layer),
      context_(context),
      setting_(setting),
      shape_(output_shape(layer, input)),
      outputs_(padded(layer.outputs)),
      rows_(shape_.n * shape_.h * shape_.w),
      columns_(layer.window_h * layer.window_w * padded(input.c)),
      result_(element_of(setting.precision, context.output_storage)) {
  const bool drops = context.training && layer.dropout > 0;
  VGGNET_ASSERT(!drops || !layer.relu.empty());  // the stage above masks by output > 0, which must hold both
  requirements_.input_in_backward = context.training && (context.wants_parameter_gradients ||
                                                         (context.wants_input_gradient && context.mask_input));
}

void LinearStage::lay_out(int64_t library_bytes, int64_t forward_scratch_bytes) {
  library_bytes_ = round_up(library_bytes, kPart);
  int64_t backward_bytes = 0;
  if (wants_parameter_gradients()) {
    sums_at_ = round_up(4 * outputs_ * columns_, kPart);
    partial_at_ = sums_at_ + round_up(4 * outputs_, kPart);
    backward_bytes = partial_at_ + partial_sums_bytes(rows_, outputs_);
  }
  requirements_.workspace_bytes = library_bytes_ + std::max(forward_scratch_bytes, backward_bytes);
}

void LinearStage::bind(const Binding& binding) {
  binding_ = binding;
  part_ = static_cast<char*>(binding.workspace) + library_bytes_;
  refresh();  // plans are checked with the weights as they are
  choose_plans();
}

void LinearStage::forward() {
  write_output();
  if (context_.training && layer_.dropout > 0)
    drop(setting_.stream(), result_, binding_.output.data, shape_, layer_.dropout, layer_.stream,
         binding_.feed.controls, binding_.output.data);
}

void LinearStage::backward(Gradients gradients) {
  if (wants_parameter_gradients() && binding_.grad_weight) {
    give_parameter_gradients(gradients);
    setting_.complete->begin_at(binding_.grad_weight);
  }
  if (!binding_.grad_input) return;
  write_input_gradient();
}

void LinearStage::give_parameter_gradients(Gradients gradients) {
  if (gradients == Gradients::overwrite)
    return write_parameter_gradients(binding_.grad_weight, wants_bias_gradient() ? binding_.grad_bias : nullptr);
  write_parameter_gradients(weight_scratch(), wants_bias_gradient() ? bias_scratch() : nullptr);
  add(setting_.stream(), weight_scratch(), binding_.grad_weight, outputs_ * columns_);
  if (wants_bias_gradient()) add(setting_.stream(), bias_scratch(), binding_.grad_bias, outputs_);
}

void LinearStage::sum_output_gradient(float* sums) const {
  sum_rows(setting_.stream(), setting_.element(), binding_.grad_output.data, rows_, outputs_, Gradients::overwrite,
           part_ + partial_at_, sums);
}

std::unique_ptr<Stage> make_stage(const Linear& layer, const Shape& input, const Context& context,
                                  const Setting& setting) {
  if (const auto graphs = graphs_of(layer, input, context, setting))
    return make_sliding_stage(layer, input, context, setting, *graphs);
  return std::make_unique<ProductStage>(layer, input, context, setting);
}

}  // namespace vggnet::cuda
