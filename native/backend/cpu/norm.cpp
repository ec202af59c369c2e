// Local response normalisation. Neighbouring channels lie in different blocks, so each pixel's channels are gathered
// into a line with zeros at both ends; a window over channels is then a few shifted additions.
#include <omp.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "backend/cpu/elements.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/error.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

// Pixels that go through each pass together: what one pass has stored is out of the store buffer when the next reads it
// at other offsets.
constexpr int64_t kPixels = 16;

struct Window {
  int64_t channels;       // padded
  int64_t before, after;  // how far it reaches from a channel
  float k, alpha, beta;
};

// Scratch of one thread: for each of kPixels pixels a line of channels, `length` from one to the next. Around a line of
// terms there is room for the window, which stays zero: windows are clipped at the first and last channel.
struct Lines {
  int64_t length;
  float *term, *sum, *power;
};

// base ^ exponent to 3e-7, for base > 0. Here because std::pow is not vectorised, nor std::sqrt while it sets errno.
VGGNET_INLINE float power_of(float base, float exponent) {
  // base = 2^whole * m, sqrt(1/2) <= m < sqrt(2); log2(m) = 2 / ln 2 * atanh(t), |t| < 0.172
  // (unsigned: between the lines of scratch stands anything, and wraps around)
  const uint32_t bits = std::bit_cast<uint32_t>(base);
  const int32_t whole = static_cast<int32_t>(bits - 0x3f3504f3u) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<uint32_t>(whole) << 23));
  const float t = (m - 1) / (m + 1), t2 = t * t;
  const float series = t * (1 + t2 * (1.0f / 3 + t2 * (1.0f / 5 + t2 * (1.0f / 7 + t2 * (1.0f / 9)))));
  const float wanted = exponent * (static_cast<float>(whole) + 2.885390082f * series);
  // 2^wanted = 2^n * e^r, |r| < 0.35; adding and taking away 1.5 * 2^23 rounds
  const float limited = wanted < -126 ? -126 : wanted > 127 ? 127 : wanted;
  const float n = (limited + 12582912.0f) - 12582912.0f, r = (limited - n) * 0.6931471806f;
  const float e = 1 + r * (1 + r * (0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720))))));
  const float result = e * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
  return base <= std::numeric_limits<float>::max() ? result : base - base;  // a sum that overflowed gives NaN, not 0
}

VGGNET_INLINE void negative_power(const float* __restrict base, float beta, int64_t count, float* __restrict power) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) power[i] = power_of(base[i], -beta);
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

// Up to kPixels neighbours, whose channels lie in blocks `stride` apart. scale may be null.
template <int b>
VGGNET_VECTOR void forward_pixels(const float* x, int64_t pixels, int64_t stride, const Window& w, const Lines& lines,
                                  float* scale, float* y) {
  const int64_t elements = pixels * lines.length;
  for (int64_t c = 0; c < w.channels; c += b)
    for (int64_t p = 0; p < pixels; ++p)
#pragma omp simd
      for (int j = 0; j < b; ++j) {
        const float value = x[c / b * stride + p * b + j];
        lines.term[p * lines.length + c + j] = value * value;
      }
  slide(lines.term, w.before, w.after, elements, lines.sum);
#pragma omp simd
  for (int64_t i = 0; i < elements; ++i) lines.sum[i] = w.k + w.alpha * lines.sum[i];
  negative_power(lines.sum, w.beta, elements, lines.power);
  for (int64_t c = 0; c < w.channels; c += b)
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t at = c / b * stride + p * b, in_line = p * lines.length + c;
#pragma omp simd
      for (int j = 0; j < b; ++j) y[at + j] = x[at + j] * lines.power[in_line + j];
      if (scale) std::copy_n(lines.sum + in_line, b, scale + at);
    }
}

// With s the scale: dx = dy s^-beta - 2 alpha beta x sum(dy x s^(-beta-1)), over the channels whose windows hold x's.
template <int b>
VGGNET_VECTOR void backward_pixels(const float* x, const float* scale, const float* dy, int64_t pixels, int64_t stride,
                                   const Window& w, const Lines& lines, float* dx) {
  const int64_t elements = pixels * lines.length;
  for (int64_t c = 0; c < w.channels; c += b)
    for (int64_t p = 0; p < pixels; ++p)
      std::copy_n(scale + c / b * stride + p * b, b, lines.sum + p * lines.length + c);
  negative_power(lines.sum, w.beta, elements, lines.power);
  for (int64_t c = 0; c < w.channels; c += b)
    for (int64_t p = 0; p < pixels; ++p)
#pragma omp simd
      for (int j = 0; j < b; ++j) {
        const int64_t at = c / b * stride + p * b + j, in_line = p * lines.length + c + j;
        lines.term[in_line] = dy[at] * x[at] * lines.power[in_line] / lines.sum[in_line];
      }
  slide(lines.term, w.after, w.before, elements, lines.sum);
  const float factor = 2 * w.alpha * w.beta;
  for (int64_t c = 0; c < w.channels; c += b)
    for (int64_t p = 0; p < pixels; ++p)
#pragma omp simd
      for (int j = 0; j < b; ++j) {
        const int64_t at = c / b * stride + p * b + j, in_line = p * lines.length + c + j;
        dx[at] = dy[at] * lines.power[in_line] - factor * x[at] * lines.sum[in_line];
      }
}

class LocalNormStage final : public Stage {
 public:
  LocalNormStage(const LocalNorm& norm, const Shape& input, const Context& context)
      : shape_(input), window_{padded(input.c), norm.size / 2, (norm.size - 1) / 2, norm.k, norm.alpha, norm.beta},
        mask_scale_(context.mask_scale), masks_(context.mask_input), blocked_(input, context.input_storage) {
    VGGNET_ASSERT(norm.size >= 1 && norm.k > 0);  // the power of k is taken in the padding
    margin_ = round_up(norm.size, 16);
    line_ = window_.channels + margin_;  // the margin after a line is the one before the next
    per_thread_ = 3 * (kPixels * line_ + 2 * margin_);
    requirements_.workspace_bytes =
        round_up(blocked_.workspace_bytes(), 64) + omp_get_max_threads() * per_thread_ * int64_t{sizeof(float)};
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
    const auto kernel = block() == 16 ? forward_pixels<16> : forward_pixels<8>;
    for_pixels([&](int64_t at, int64_t pixels, int64_t stride, const Lines& lines) {
      kernel(x + at, pixels, stride, window_, lines, scale_ ? scale_ + at : nullptr, output_ + at);
    });
  }

  void backward(Gradients) override {
    if (!grad_input_) return;
    const float* x = blocked_.data();
    const auto kernel = block() == 16 ? backward_pixels<16> : backward_pixels<8>;
    for_pixels([&](int64_t at, int64_t pixels, int64_t stride, const Lines& lines) {
      kernel(x + at, scale_ + at, grad_output_ + at, pixels, stride, window_, lines, grad_input_ + at);
    });
    if (masks_) mask(grad_input_, x, mask_scale_, grad_input_, stored_elements(shape_, Storage::activation));
  }

 private:
  // Calls kernel(offset of the first pixel's first channel, pixels, stride of blocks, lines), threaded.
  template <typename Kernel>
  void for_pixels(const Kernel& kernel) const {
    const int64_t hw = shape_.h * shape_.w, stride = hw * block(), image = hw * window_.channels;
    const int64_t groups = (hw + kPixels - 1) / kPixels;
#pragma omp parallel
    {
      float* own = lines_ + omp_get_thread_num() * per_thread_;
      std::fill_n(own, per_thread_, 0.0f);
      const int64_t next = per_thread_ / 3;
      const Lines lines = {line_, own + margin_, own + next + margin_, own + 2 * next + margin_};
#pragma omp for schedule(static)
      for (int64_t i = 0; i < shape_.n * groups; ++i) {
        const int64_t first = i % groups * kPixels;
        kernel(i / groups * image + first * block(), std::min(kPixels, hw - first), stride, lines);
      }
    }
  }

  const Shape shape_;
  const Window window_;
  const float mask_scale_;
  const bool masks_;
  BlockedInput blocked_;
  int64_t margin_, line_, per_thread_;  // elements of scratch
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
