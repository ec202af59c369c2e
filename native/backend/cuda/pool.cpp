// Stages that shrink the image: 2x2 max-pooling, and the mean over space.
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "backend/cuda/stages.hpp"

namespace vggnet::cuda {
namespace {

class MaxPoolStage final : public Stage {
 public:
  MaxPoolStage(const MaxPool& layer, const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting), shape_(input), mask_scale_(context.mask_scale) {
    if (context.training) requirements_.saved = {{"index", stored_elements(output_shape(layer, input))}};
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void forward() override {
    pool(setting_.stream(), setting_.element(), binding_.input.data, shape_, binding_.output.data, index());
  }

  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    pool_gradient(setting_.stream(), setting_.element(), binding_.grad_output.data, index(), shape_, mask_scale_,
                  binding_.grad_input.data);
  }

 private:
  uint8_t* index() const { return binding_.saved.empty() ? nullptr : static_cast<uint8_t*>(binding_.saved[0]); }

  const Setting setting_;
  const Shape shape_;
  const float mask_scale_;
  Binding binding_;
};

class SpatialMeanStage final : public Stage {
 public:
  SpatialMeanStage(const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting),
        shape_(input),
        input_element_(element_of(setting.precision, context.input_storage)),
        result_(element_of(setting.precision, context.output_storage)),
        mask_scale_(context.mask_scale),
        masks_(context.mask_input) {
    requirements_.input_in_backward = context.training && masks_;
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void forward() override {
    spatial_mean(setting_.stream(), input_element_, binding_.input.data, shape_, result_, binding_.output.data);
  }

  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    void* const grad = binding_.grad_input.data;
    spatial_mean_gradient(setting_.stream(), setting_.element(), binding_.grad_output.data, shape_, grad);
    if (masks_)
      mask(setting_.stream(), setting_.element(), grad, binding_.input.data, mask_scale_, grad, stored_elements(shape_));
  }

 private:
  const Setting setting_;
  const Shape shape_;
  const Element input_element_, result_;
  const float mask_scale_;
  const bool masks_;
  Binding binding_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const MaxPool& layer, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<MaxPoolStage>(layer, input, context, setting);
}

std::unique_ptr<Stage> make_stage(const SpatialMean&, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<SpatialMeanStage>(input, context, setting);
}

}  // namespace vggnet::cuda
