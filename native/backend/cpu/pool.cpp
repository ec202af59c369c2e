// Stages that shrink the image: 2x2 max-pooling, and the mean over space.
#include "backend/cpu/elements.hpp"
#include "backend/cpu/pool_kernels.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

class MaxPoolStage final : public Stage {
 public:
  MaxPoolStage(const Shape& input, const Context& context)
      : shape_(input), mask_scale_(context.mask_scale), blocked_(input, context.input_storage),
        planes_(input.n * padded(input.c) / block()) {
    requirements_.workspace_bytes = blocked_.workspace_bytes();
    if (!context.training) return;
    requirements_.saved = {{"index", planes_ * block() * (input.h / 2) * (input.w / 2)}};
  }

  void bind(const Binding& binding) override {
    blocked_.bind(binding.input.floats(), binding.workspace);
    output_ = binding.output.floats();
    grad_output_ = binding.grad_output.floats();
    grad_input_ = binding.grad_input.floats();
    index_ = binding.saved.empty() ? nullptr : static_cast<uint8_t*>(binding.saved[0]);
  }

  void forward() override { pool_forward(blocked_.data(), output_, index_, planes_, shape_.h, shape_.w, Rectify::no); }

  void backward(Gradients) override {
    if (!grad_input_) return;
    pool_backward(grad_output_, index_, grad_input_, planes_, shape_.h, shape_.w);
    if (mask_scale_ != 1) scale(grad_input_, mask_scale_, stored_elements(shape_, Storage::activation));
  }

 private:
  const Shape shape_;
  const float mask_scale_;
  BlockedInput blocked_;
  const int64_t planes_;
  float* output_ = nullptr;
  const float* grad_output_ = nullptr;
  float* grad_input_ = nullptr;
  uint8_t* index_ = nullptr;
};

// x: [count][b] -> y: [b]
template <int b>
VGGNET_VECTOR void mean_of_plane(const float* x, int64_t count, float* y) {
  float sum[b] = {};
  for (int64_t p = 0; p < count; ++p)
#pragma omp simd
    for (int j = 0; j < b; ++j) sum[j] += x[p * b + j];
#pragma omp simd
  for (int j = 0; j < b; ++j) y[j] = sum[j] / static_cast<float>(count);
}

template <int b>
VGGNET_VECTOR void spread_over_plane(const float* dy, int64_t count, float* dx) {
  for (int64_t p = 0; p < count; ++p)
#pragma omp simd
    for (int j = 0; j < b; ++j) dx[p * b + j] = dy[j] / static_cast<float>(count);
}

class SpatialMeanStage final : public Stage {
 public:
  SpatialMeanStage(const Shape& input, const Context& context)
      : shape_(input), mask_scale_(context.mask_scale), masks_(context.mask_input),
        blocked_(input, context.input_storage) {
    requirements_.workspace_bytes = blocked_.workspace_bytes();
    requirements_.input_in_backward = context.training && masks_;
  }

  void bind(const Binding& binding) override {
    blocked_.bind(binding.input.floats(), binding.workspace);
    input_ = binding.input.floats();
    output_ = binding.output.floats();
    grad_output_ = binding.grad_output.floats();
    grad_input_ = binding.grad_input.floats();
  }

  void forward() override {
    const auto kernel = block() == 16 ? mean_of_plane<16> : mean_of_plane<8>;
    const float* x = blocked_.data();
    const int64_t planes = shape_.n * padded(shape_.c) / block(), hw = shape_.h * shape_.w;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < planes; ++i) kernel(x + i * hw * block(), hw, output_ + i * block());
  }

  void backward(Gradients) override {
    if (!grad_input_) return;
    const auto kernel = block() == 16 ? spread_over_plane<16> : spread_over_plane<8>;
    const int64_t planes = shape_.n * padded(shape_.c) / block(), hw = shape_.h * shape_.w;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < planes; ++i) kernel(grad_output_ + i * block(), hw, grad_input_ + i * hw * block());
    if (masks_) mask(grad_input_, input_, mask_scale_, grad_input_, stored_elements(shape_, Storage::activation));
  }

 private:
  const Shape shape_;
  const float mask_scale_;
  const bool masks_;
  BlockedInput blocked_;
  const float* input_ = nullptr;  // an activation if it is rectified
  float* output_ = nullptr;
  const float* grad_output_ = nullptr;
  float* grad_input_ = nullptr;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const MaxPool&, const Shape& input, const Context& context) {
  return std::make_unique<MaxPoolStage>(input, context);
}

std::unique_ptr<Stage> make_stage(const SpatialMean&, const Shape& input, const Context& context) {
  return std::make_unique<SpatialMeanStage>(input, context);
}

}  // namespace vggnet::cpu
