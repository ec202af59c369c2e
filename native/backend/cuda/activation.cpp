// ReLU and dropout as separate stages: only where a tap must see both sides.
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "backend/cuda/stages.hpp"

namespace vggnet::cuda {
namespace {

class ReluStage final : public Stage {
 public:
  ReluStage(const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting), count_(stored_elements(input)), mask_scale_(context.mask_scale), masks_(context.mask_input) {
    requirements_.input_in_backward = context.training && masks_;
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void forward() override {
    rectify(setting_.stream(), setting_.element(), binding_.input.data, binding_.output.data, count_);
  }

  // The gradient comes masked by this stage's output already.
  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    void *const from = binding_.grad_output.data, *const to = binding_.grad_input.data;
    if (masks_) mask(setting_.stream(), setting_.element(), from, binding_.input.data, mask_scale_, to, count_);
    else setting_.device->copy(from, to, count_ * setting_.element_bytes());
  }

 private:
  const Setting setting_;
  const int64_t count_;
  const float mask_scale_;
  const bool masks_;
  Binding binding_;
};

class DropoutStage final : public Stage {
 public:
  DropoutStage(const Dropout& layer, const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting),
        layer_(layer),
        shape_(input),
        drops_(context.training && layer.probability > 0),
        mask_scale_(context.mask_scale),
        masks_(context.mask_input) {
    requirements_.input_in_backward = context.training && masks_;
  }

  void bind(const Binding& binding) override { binding_ = binding; }
  void forward() override { drop_elements(binding_.input.data, binding_.output.data); }

  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    void* const grad = binding_.grad_input.data;
    drop_elements(binding_.grad_output.data, grad);
    if (masks_)
      mask(setting_.stream(), setting_.element(), grad, binding_.input.data, mask_scale_, grad, stored_elements(shape_));
  }

 private:
  void drop_elements(const void* x, void* y) const {
    if (!drops_) return setting_.device->copy(x, y, stored_elements(shape_) * setting_.element_bytes());
    drop(setting_.stream(), setting_.element(), x, shape_, layer_.probability, layer_.stream, binding_.feed.controls, y);
  }

  const Setting setting_;
  const Dropout layer_;
  const Shape shape_;
  const bool drops_;
  const float mask_scale_;
  const bool masks_;
  Binding binding_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const Relu&, const Shape& input, const Context& context, const Setting& setting) {
  return std::make_unique<ReluStage>(input, context, setting);
}

std::unique_ptr<Stage> make_stage(const Dropout& layer, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<DropoutStage>(layer, input, context, setting);
}

}  // namespace vggnet::cuda
