// ReLU and dropout as separate stages: only where a tap must see both sides.
#include <omp.h>

#include <algorithm>

#include "backend/cpu/dropout.hpp"
#include "backend/cpu/elements.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kElementsAtOnce = 1 << 12;

class ReluStage final : public Stage {
 public:
  ReluStage(const Shape& input, const Context& context)
      : count_(stored_elements(input, Storage::activation)), mask_scale_(context.mask_scale),
        masks_(context.mask_input), blocked_(input, context.input_storage) {
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

  void forward() override { rectify(blocked_.data(), output_, count_); }

  // The gradient comes masked by this stage's output already.
  void backward(Gradients) override {
    if (!grad_input_) return;
    masks_ ? mask(grad_output_, input_, mask_scale_, grad_input_, count_) : copy(grad_output_, grad_input_, count_);
  }

 private:
  const int64_t count_;
  const float mask_scale_;
  const bool masks_;
  BlockedInput blocked_;
  const float* input_ = nullptr;  // an activation if it is rectified
  float* output_ = nullptr;
  const float* grad_output_ = nullptr;
  float* grad_input_ = nullptr;
};

// x, y: [count][b], factors: [b][count]
template <int b>
VGGNET_VECTOR void multiply(const float* x, const float* factors, int64_t count, float* y) {
  for (int64_t p = 0; p < count; ++p)
#pragma omp simd
    for (int j = 0; j < b; ++j) y[p * b + j] = x[p * b + j] * factors[j * count + p];
}

class DropoutStage final : public Stage {
 public:
  DropoutStage(const Dropout& dropout, const Shape& input, const Context& context)
      : shape_(input), mask_(dropout.probability, dropout.stream), drops_(context.training && dropout.probability > 0),
        mask_scale_(context.mask_scale), masks_(context.mask_input), blocked_(input, context.input_storage) {
    const int64_t block_elements = input.h * input.w * block();
    blocks_at_once_ = std::clamp<int64_t>(kElementsAtOnce / block_elements, 1, padded(input.c) / block());
    // for each thread the factors of so many blocks of channels
    factors_bytes_ = round_up(blocks_at_once_ * block_elements * int64_t{sizeof(float)}, 64);
    requirements_.workspace_bytes =
        round_up(blocked_.workspace_bytes(), 64) + (drops_ ? omp_get_max_threads() * factors_bytes_ : 0);
    requirements_.input_in_backward = context.training && masks_;
  }

  void bind(const Binding& binding) override {
    auto* workspace = static_cast<char*>(binding.workspace);
    blocked_.bind(binding.input.floats(), workspace);
    factors_ = workspace + round_up(blocked_.workspace_bytes(), 64);
    input_ = binding.input.floats();
    output_ = binding.output.floats();
    grad_output_ = binding.grad_output.floats();
    grad_input_ = binding.grad_input.floats();
    controls_ = binding.feed.controls;
  }

  void forward() override { drop(blocked_.data(), output_); }

  void backward(Gradients) override {
    if (!grad_input_) return;
    drop(grad_output_, grad_input_);
    if (masks_) mask(grad_input_, input_, mask_scale_, grad_input_, stored_elements(shape_, Storage::activation));
  }

 private:
  void drop(const float* x, float* y) const {
    if (!drops_) return copy(x, y, stored_elements(shape_, Storage::activation));
    const auto kernel = block() == 16 ? multiply<16> : multiply<8>;
    const int64_t b = block(), blocks = padded(shape_.c) / b, hw = shape_.h * shape_.w;
    const int64_t pieces = (blocks + blocks_at_once_ - 1) / blocks_at_once_;
#pragma omp parallel for schedule(static)
    for (int64_t piece = 0; piece < shape_.n * pieces; ++piece) {
      const int64_t image = piece / pieces, first = piece % pieces * blocks_at_once_;
      const int64_t count = std::min(blocks_at_once_, blocks - first);
      auto* factors = reinterpret_cast<float*>(factors_ + omp_get_thread_num() * factors_bytes_);
      // past the last channel the padding is multiplied: 0 times anything
      mask_.write(*controls_, image, first * b * hw, count * b * hw, factors);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = (image * blocks + first + i) * b * hw;
        kernel(x + at, factors + i * b * hw, hw, y + at);
      }
    }
  }

  const Shape shape_;
  const DropoutMask mask_;
  const bool drops_;
  const float mask_scale_;
  const bool masks_;
  BlockedInput blocked_;
  int64_t blocks_at_once_, factors_bytes_;
  char* factors_ = nullptr;
  const float* input_ = nullptr;  // an activation if it is rectified
  float* output_ = nullptr;
  const float* grad_output_ = nullptr;
  float* grad_input_ = nullptr;
  const Controls* controls_ = nullptr;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const Relu&, const Shape& input, const Context& context) {
  return std::make_unique<ReluStage>(input, context);
}

std::unique_ptr<Stage> make_stage(const Dropout& dropout, const Shape& input, const Context& context) {
  return std::make_unique<DropoutStage>(dropout, input, context);
}

}  // namespace vggnet::cpu
