// A convolution and the pool after it, piece by piece: the full-size output exists for one piece only.
#include <algorithm>

#include "backend/cpu/blocked.hpp"
#include "backend/cpu/convolution.hpp"
#include "backend/cpu/pool_kernels.hpp"
#include "backend/cpu/stages.hpp"

namespace vggnet::cpu {
namespace {

// The ReLU comes after the pool: a quarter of the work.
Convolution without_relu(Convolution layer) {
  layer.relu.clear();
  return layer;
}

// Of the full-size output of a piece, that the pool finds in the cache; one image may be larger.
constexpr int64_t kBufferBytes = 16 << 20;

class ConvolutionPoolStage final : public Stage {
 public:
  ConvolutionPoolStage(const ConvolutionPool& layer, const Shape& input, const Context& context)
      : shape_{input.n, padded(layer.convolution.outputs), input.h, input.w},
        pooled_{input.n, shape_.c, input.h / 2, input.w / 2},
        rectify_(layer.convolution.relu.empty() ? Rectify::no : Rectify::yes),
        engine_(make_engine(without_relu(layer.convolution), input, context, std::max<int64_t>(1, kBufferBytes / (4 * shape_.per_image())))) {
    engine_->describe(requirements_);
    buffer_at_ = requirements_.workspace_bytes;
    ring_ = engine_->forward_pieces().front().images;
    if (!engine_->backward_pieces().empty()) ring_ = std::max(ring_, engine_->backward_pieces().front().images);
    requirements_.workspace_bytes += round_up(4 * ring_ * shape_.per_image(), 64);
    if (!context.training) return;
    requirements_.saved = {{"index", pooled_.count()}};
  }

  void bind(const Binding& binding) override {
    output_ = binding.output.floats();
    grad_output_ = binding.grad_output.floats();
    index_ = binding.saved.empty() ? nullptr : static_cast<uint8_t*>(binding.saved[0]);
    buffer_ = reinterpret_cast<float*>(static_cast<char*>(binding.workspace) + buffer_at_);
    // Each piece begins at the head of the buffer.
    const int64_t backward = engine_->backward_pieces().empty() ? ring_ : engine_->backward_pieces().front().images;
    engine_->bind(binding, {buffer_, engine_->forward_pieces().front().images}, {buffer_, backward});
  }

  void refresh() override { engine_->refresh(); }

  void forward() override {
    for (size_t i = 0; i < engine_->forward_pieces().size(); ++i) {
      engine_->forward(i);
      const Piece& piece = engine_->forward_pieces()[i];
      const int64_t at = piece.first * pooled_.per_image();
      pool_forward(buffer_, output_ + at, index_ ? index_ + at : nullptr, planes(piece), shape_.h, shape_.w,
                   rectify_);
    }
  }

  void backward(Gradients gradients) override {
    for (size_t i = 0; i < engine_->backward_pieces().size(); ++i) {
      const Piece& piece = engine_->backward_pieces()[i];
      const int64_t at = piece.first * pooled_.per_image();
      pool_backward(grad_output_ + at, index_ + at, buffer_, planes(piece), shape_.h, shape_.w);
      engine_->backward(i, gradients);
    }
  }

 private:
  int64_t planes(const Piece& piece) const { return piece.images * shape_.c / block(); }

  const Shape shape_, pooled_;  // of the convolution's output and the stage's, channels padded
  const Rectify rectify_;
  const std::unique_ptr<ConvolutionEngine> engine_;
  int64_t buffer_at_ = 0, ring_ = 0;  // bytes into the workspace; images in the buffer
  float *output_ = nullptr, *buffer_ = nullptr;
  const float* grad_output_ = nullptr;
  uint8_t* index_ = nullptr;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const ConvolutionPool& layer, const Shape& input, const Context& context) {
  return std::make_unique<ConvolutionPoolStage>(layer, input, context);
}

}  // namespace vggnet::cpu
