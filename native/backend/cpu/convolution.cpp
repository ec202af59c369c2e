#include "backend/cpu/convolution.hpp"

#include "backend/cpu/convolution_matrix.hpp"
#include "backend/cpu/convolution_primitive.hpp"
#include "backend/cpu/convolution_winograd.hpp"
#include "backend/cpu/stages.hpp"

namespace vggnet::cpu {

std::unique_ptr<ConvolutionEngine> make_engine(const Convolution& layer, const Shape& input, const Context& context,
                                               int64_t limit) {
  if (MatrixConvolution::pays(layer, input, context) && limit >= input.n)
    return std::make_unique<MatrixConvolution>(layer, input, context);
  if (WinogradConvolution::pays(layer, input, context))
    return std::make_unique<WinogradConvolution>(layer, input, context, limit);
  return std::make_unique<PrimitiveConvolution>(layer, input, context, limit);
}

namespace {

class ConvolutionStage final : public Stage {
 public:
  ConvolutionStage(const Convolution& layer, const Shape& input, const Context& context)
      : images_(input.n), engine_(make_engine(layer, input, context, input.n)) {
    engine_->describe(requirements_);
  }

  void bind(const Binding& binding) override {
    engine_->bind(binding, {binding.output.floats(), images_}, {binding.grad_output.floats(), images_});
  }

  void refresh() override { engine_->refresh(); }

  void forward() override {
    for (size_t i = 0; i < engine_->forward_pieces().size(); ++i) engine_->forward(i);
  }

  void backward(Gradients gradients) override {
    for (size_t i = 0; i < engine_->backward_pieces().size(); ++i) engine_->backward(i, gradients);
  }

 private:
  const int64_t images_;
  const std::unique_ptr<ConvolutionEngine> engine_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const Convolution& layer, const Shape& input, const Context& context) {
  return std::make_unique<ConvolutionStage>(layer, input, context);
}

}  // namespace vggnet::cpu
