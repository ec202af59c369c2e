// The first layer: raw images to (pixel + shift - mean) * scale, and the gradient back in the caller's pixel scale.
#include "backend/cuda/kernels/layers.hpp"
#include "backend/cuda/stages.hpp"

namespace vggnet::cuda {
namespace {

class InputStage final : public Stage {
 public:
  InputStage(const Input& input, const Shape& shape, const Context& context, const Setting& setting)
      : setting_(setting), input_(input), shape_(shape), images_(context.images) {}

  void bind(const Binding& binding) override { binding_ = binding; }

  void forward() override {
    transform_images(setting_.stream(), setting_.element(), binding_.feed, images_, shape_, input_,
                     binding_.output.data);
  }

  void backward(Gradients) override {
    if (!binding_.grad_input) return;
    image_gradient(setting_.stream(), setting_.element(), binding_.grad_output.data, binding_.feed, shape_, input_,
                   binding_.grad_input.floats());
  }

 private:
  const Setting setting_;
  const Input input_;
  const Shape shape_;
  const DType images_;
  Binding binding_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const Input& input, const Shape& shape, const Context& context,
                                  const Setting& setting) {
  return std::make_unique<InputStage>(input, shape, context, setting);
}

}  // namespace vggnet::cuda
