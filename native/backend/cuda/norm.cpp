// Local response normalisation. Nothing is kept for the backward pass but the input: its sums are cheaper to compute
// again than to store and read.
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "backend/cuda/stages.hpp"

namespace vggnet::cuda {
namespace {

class LocalNormStage final : public Stage {
 public:
  LocalNormStage(const LocalNorm& layer, const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting), layer_(layer), shape_(input), mask_scale_(context.mask_scale), masks_(context.mask_input) {
    requirements_.input_in_backward = context.training && context.wants_input_gradient;
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void forward() override {
    local_norm(setting_.stream(), setting_.element(), binding_.input.data, shape_, layer_, binding_.output.data);
  }

  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    void* const grad = binding_.grad_input.data;
    const void* const x = binding_.input.data;
    local_norm_gradient(setting_.stream(), setting_.element(), binding_.grad_output.data, x, shape_, layer_, grad);
    if (masks_) mask(setting_.stream(), setting_.element(), grad, x, mask_scale_, grad, stored_elements(shape_));
  }

 private:
  const Setting setting_;
  const LocalNorm layer_;
  const Shape shape_;
  const float mask_scale_;
  const bool masks_;
  Binding binding_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const LocalNorm& layer, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<LocalNormStage>(layer, input, context, setting);
}

}  // namespace vggnet::cuda
