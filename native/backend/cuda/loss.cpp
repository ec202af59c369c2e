#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "backend/cuda/stages.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

class SoftmaxLossStage final : public Stage {
 public:
  SoftmaxLossStage(const Shape& input, const Context& context, const Setting& setting)
      : setting_(setting),
        shape_(input),
        scores_(element_of(setting.precision, context.input_storage)),
        mask_scale_(context.mask_scale),
        masks_(context.mask_input) {
    VGGNET_ASSERT(input.h == 1 && input.w == 1);
    VGGNET_ASSERT(!masks_ || scores_ == setting.element());
    requirements_.input_in_backward = true;
    requirements_.saved = {{"normaliser", normaliser_bytes(input.n)}};
    requirements_.workspace_bytes = image_results_bytes(input.n);
  }

  void bind(const Binding& binding) override { binding_ = binding; }

  void forward() override {
    softmax_loss(setting_.stream(), scores_, binding_.input.data, shape_, binding_.feed, binding_.saved[0],
                 binding_.workspace);
  }

  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    void* const grad = binding_.grad_input.data;
    softmax_loss_gradient(setting_.stream(), scores_, binding_.input.data, shape_, binding_.feed, binding_.saved[0],
                          setting_.element(), grad);
    if (masks_)
      mask(setting_.stream(), setting_.element(), grad, binding_.input.data, mask_scale_, grad, stored_elements(shape_));
  }

 private:
  const Setting setting_;
  const Shape shape_;  // n c 1 1
  const Element scores_;
  const float mask_scale_;
  const bool masks_;
  Binding binding_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const SoftmaxLoss&, const Shape& input, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<SoftmaxLossStage>(input, context, setting);
}

}  // namespace vggnet::cuda
