// Local response normalisation. Neighbouring channels lie in different blocks, so each pixel's channels are gathered
// into a line with zeros at both ends; a window over channels is then a few shifted additions.

// Without this GCC keeps a branch for errno at every square root and does not vectorise it.
#pragma GCC optimize("no-math-errno")

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "backend/cpu/elements.hpp"
#include "backend/cpu/stages.hpp"
#include "backend/cpu/vector.hpp"
#include "tensor/error.hpp"

namespace vggnet::cpu {
namespace {

constexpr float kCommonBeta = 0.75f;  // both Krizhevsky's and Caffe's

// Lines of one thread, each with room for the window beyond both ends.
struct Lines {
  float *term, *sum, *power;
};

struct Window {
  int64_t channels;       // padded
  int64_t before, after;  // how far it reaches from a channel
  float k, alpha, beta;
};

// power = base ^ -beta
VGGNET_INLINE void negative_power(const float* __restrict base, float beta, int64_t count, float* __restrict power) {
  if (beta == kCommonBeta) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) power[i] = 1 / (std::sqrt(base[i]) * std::sqrt(std::sqrt(base[i])));
  } else {
    for (int64_t i = 0; i < count; ++i) power[i] = std::pow(base[i], -beta);
  }
}

// sum[i] = term[i - before] + ... + term[i + after]
VGGNET_INLINE void slide(const float* __restrict term, int64_t before, int64_t after, int64_t count,
                         float* __restrict sum) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) sum[i] = term[i - before];
  for (int64_t d = 1 - before; d <= after; ++d)
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) sum[i] += term[i + d];
}

// One pixel: its channels lie in blocks `stride` apart. scale may be null.
template <int b>
VGGNET_VECTOR void forward_pixel(const float* x, int64_t stride, const Window& w, const Lines& lines, float* scale,
                                 float* y) {
  for (int64_t c = 0; c < w.channels; c += b)
#pragma omp simd
    for (int j = 0; j < b; ++j) lines.term[c + j] = x[c / b * stride + j] * x[c / b * stride + j];
  slide(lines.term, w.before, w.after, w.channels, lines.sum);
#pragma omp simd
  for (int64_t c = 0; c < w.channels; ++c) lines.sum[c] = w.k + w.alpha * lines.sum[c];
  negative_power(lines.sum, w.beta, w.channels, lines.power);
  for (int64_t c = 0; c < w.channels; c += b)
#pragma omp simd
    for (int j = 0; j < b; ++j) y[c / b * stride + j] = x[c / b * stride + j] * lines.power[c + j];
  for (int64_t c = 0; scale && c < w.channels; c += b) std::copy_n(lines.sum + c, b, scale + c / b * stride);
}

// With s the scale: dx = dy s^-beta - 2 alpha beta x sum(dy x s^(-beta-1)), over the channels whose windows hold x's.
template <int b>
VGGNET_VECTOR void backward_pixel(const float* x, const float* scale, const float* dy, int64_t stride, const Window& w,
                                  const Lines& lines, float* dx) {
  for (int64_t c = 0; c < w.channels; c += b) std::copy_n(scale + c / b * stride, b, lines.sum + c);
  negative_power(lines.sum, w.beta, w.channels, lines.power);
  for (int64_t c = 0; c < w.channels; c += b)
#pragma omp simd
    for (int j = 0; j < b; ++j) {
      const int64_t at = c / b * stride + j;
      lines.term[c + j] = dy[at] * x[at] * lines.power[c + j] / lines.sum[c + j];
    }
  slide(lines.term, w.after, w.before, w.channels, lines.sum);
  const float factor = 2 * w.alpha * w.beta;
  for (int64_t c = 0; c < w.channels; c += b)
#pragma omp simd
    for (int j = 0; j < b; ++j) {
      const int64_t at = c / b * stride + j;
      dx[at] = dy[at] * lines.power[c + j] - factor * x[at] * lines.sum[c + j];
    }
}

class LocalNormStage final : public Stage {
 public:
  LocalNormStage(const LocalNorm& norm, const Shape& input, const Context& context)
      : shape_(input), window_{padded(input.c), norm.size / 2, (norm.size - 1) / 2, norm.k, norm.alpha, norm.beta},
        mask_scale_(context.mask_scale), masks_(context.mask_input), blocked_(input, context.input_storage) {
    VGGNET_ASSERT(norm.size >= 1 && norm.k > 0);  // the power of k is taken in the padding
    line_ = round_up(window_.channels + 2 * norm.size, 16);
    requirements_.workspace_bytes =
        round_up(blocked_.workspace_bytes(), 64) + omp_get_max_threads() * 3 * line_ * int64_t{sizeof(float)};
    if (!context.training) return;
    requirements_.input_in_backward = true;
    requirements_.saved = {{"scale", stored_elements(input, Storage::activation) * int64_t{sizeof(float)}}};
  }

  void bind(const Binding& binding) override {
    blocked_.bind(binding.input.floats(), binding.workspace);
    lines_ = reinterpret_cast<float*>(static_cast<char*>(binding.workspace) + round_up(blocked_.workspace_bytes(), 64));
    output_ = binding.output.floats();
    grad_output_ = binding.grad_output.floats();
    grad_input_ = binding.grad_input.floats();
    scale_ = binding.saved.empty() ? nullptr : static_cast<float*>(binding.saved[0]);
  }

  void forward() override {
    const float* x = blocked_.data();
    const auto kernel = block() == 16 ? forward_pixel<16> : forward_pixel<8>;
    for_pixels([&](int64_t at, int64_t stride, const Lines& lines) {
      kernel(x + at, stride, window_, lines, scale_ ? scale_ + at : nullptr, output_ + at);
    });
  }

  void backward(Gradients) override {
    if (!grad_input_) return;
    const float* x = blocked_.data();
    const auto kernel = block() == 16 ? backward_pixel<16> : backward_pixel<8>;
    for_pixels([&](int64_t at, int64_t stride, const Lines& lines) {
      kernel(x + at, scale_ + at, grad_output_ + at, stride, window_, lines, grad_input_ + at);
    });
    if (masks_) mask(grad_input_, x, mask_scale_, grad_input_, stored_elements(shape_, Storage::activation));
  }

 private:
  // Calls kernel(offset of the pixel's first channel, stride of blocks, lines) for every pixel, threaded.
  template <typename Kernel>
  void for_pixels(const Kernel& kernel) const {
    const int64_t hw = shape_.h * shape_.w, stride = hw * block(), image = hw * window_.channels;
#pragma omp parallel
    {
      float* own = lines_ + omp_get_thread_num() * 3 * line_;
      std::fill_n(own, 3 * line_, 0.0f);  // the ends stay zero: windows are clipped at the first and last channel
      const int64_t margin = (line_ - window_.channels) / 2;
      const Lines lines = {own + margin, own + line_, own + 2 * line_};
#pragma omp for schedule(static)
      for (int64_t i = 0; i < shape_.n * hw; ++i) kernel(i / hw * image + i % hw * block(), stride, lines);
    }
  }

  const Shape shape_;
  const Window window_;
  const float mask_scale_;
  const bool masks_;
  BlockedInput blocked_;
  int64_t line_;
  float* lines_ = nullptr;
  float* output_ = nullptr;
  const float* grad_output_ = nullptr;
  float* grad_input_ = nullptr;
  float* scale_ = nullptr;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const LocalNorm& norm, const Shape& input, const Context& context) {
  return std::make_unique<LocalNormStage>(norm, input, context);
}

}  // namespace vggnet::cpu
