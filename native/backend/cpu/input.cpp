// The first layer: raw images to (pixel + shift - mean) * scale, and the gradient back in the caller's pixel scale.
#include <algorithm>

#include "backend/cpu/blocked.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/error.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

// value = (pixel + shift - mean) * scale
struct Colour {
  float shift, mean, scale;
  float operator()(float pixel) const { return (pixel + shift - mean) * scale; }
};

// A row of RGB pixels to the rows of three planes.
VGGNET_VECTOR void row_of_three(const uint8_t* __restrict pixels, int64_t w, int64_t plane, const Colour* colours,
                                float* __restrict out) {
  const Colour r = colours[0], g = colours[1], b = colours[2];
#pragma omp simd
  for (int64_t x = 0; x < w; ++x) {
    out[x] = r(pixels[3 * x]);
    out[plane + x] = g(pixels[3 * x + 1]);
    out[2 * plane + x] = b(pixels[3 * x + 2]);
  }
}

template <typename Pixel>
VGGNET_VECTOR void row_of_one(const Pixel* __restrict pixels, int64_t w, Colour colour, float* __restrict out) {
#pragma omp simd
  for (int64_t x = 0; x < w; ++x) out[x] = colour(pixels[x]);
}

template <typename Pixel>
void row_with_steps(const Pixel* pixels, int64_t step, int64_t w, Colour colour, float* out, int64_t out_step) {
  for (int64_t x = 0; x < w; ++x) out[x * out_step] = colour(pixels[x * step]);
}

class InputStage final : public Stage {
 public:
  InputStage(const Input& input, const Shape& shape, const Context& context)
      : shape_(shape), images_(context.images), plain_(is_plain(shape, context.output_storage)), mean_(input.mean),
        scale_(input.scale) {
    VGGNET_ASSERT(static_cast<int64_t>(mean_.size()) == shape.c && static_cast<int64_t>(scale_.size()) == shape.c);
  }

  void bind(const Binding& binding) override {
    feed_ = binding.feed;
    output_ = binding.output.floats();
    grad_output_ = binding.grad_output.floats();
    grad_input_ = binding.grad_input.floats();
  }

  void forward() override {
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < shape_.n * shape_.h; ++row) write_row(row / shape_.h, row % shape_.h);
  }

  // output blocked -> grad_input plain n c h w
  void backward(Gradients) override {
    if (!grad_input_) return;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < shape_.n * shape_.c * shape_.h; ++row) {
      const int64_t n = row / (shape_.c * shape_.h), c = row / shape_.h % shape_.c, y = row % shape_.h, b = block();
      const float* from = grad_output_ + ((n * padded(shape_.c) / b + c / b) * shape_.h + y) * shape_.w * b + c % b;
      float* to = grad_input_ + row * shape_.w;
      for (int64_t x = 0; x < shape_.w; ++x) to[x] = from[x * b] * scale_[c];
      if (feed_.flip[n]) std::reverse(to, to + shape_.w);
    }
  }

 private:
  Colour colour(int64_t n, int64_t c) const { return {feed_.shift[n * shape_.c + c], mean_[c], scale_[c]}; }

  void write_row(int64_t n, int64_t y) const {
    if (images_ == DType::uint8) {
      const uint8_t* pixels = static_cast<const uint8_t*>(feed_.images) + (n * shape_.h + y) * shape_.w * shape_.c;
      plain_ ? write_plain(n, y, pixels) : write_blocked(n, y, pixels, shape_.c, 1);
    } else {
      const float* pixels = static_cast<const float*>(feed_.images) + (n * shape_.c * shape_.h + y) * shape_.w;
      plain_ ? write_plain(n, y, pixels) : write_blocked(n, y, pixels, 1, shape_.h * shape_.w);
    }
  }

  void write_plain(int64_t n, int64_t y, const uint8_t* pixels) const {
    float* out = output_ + (n * shape_.c * shape_.h + y) * shape_.w;
    if (shape_.c == 3) {
      const Colour colours[] = {colour(n, 0), colour(n, 1), colour(n, 2)};
      row_of_three(pixels, shape_.w, shape_.h * shape_.w, colours, out);
    } else {
      row_of_one(pixels, shape_.w, colour(n, 0), out);
    }
    mirror(n, out);
  }

  void write_plain(int64_t n, int64_t y, const float* pixels) const {
    float* out = output_ + (n * shape_.c * shape_.h + y) * shape_.w;
    for (int64_t c = 0; c < shape_.c; ++c) {
      row_of_one(pixels + c * shape_.h * shape_.w, shape_.w, colour(n, c), out + c * shape_.h * shape_.w);
    }
    mirror(n, out);
  }

  void mirror(int64_t n, float* out) const {
    if (!feed_.flip[n]) return;
    for (int64_t c = 0; c < shape_.c; ++c) {
      float* row = out + c * shape_.h * shape_.w;
      std::reverse(row, row + shape_.w);
    }
  }

  // `step` leads from one pixel of a row to the next, `channel` from one channel of a pixel to the next.
  template <typename Pixel>
  void write_blocked(int64_t n, int64_t y, const Pixel* pixels, int64_t step, int64_t channel) const {
    const int64_t b = block(), w = shape_.w;
    for (int64_t c = 0; c < padded(shape_.c); ++c) {
      float* out = output_ + ((n * padded(shape_.c) / b + c / b) * shape_.h + y) * w * b + c % b;
      const Pixel* from = pixels + c * channel;
      if (c >= shape_.c) {
        for (int64_t x = 0; x < w; ++x) out[x * b] = 0;
      } else if (feed_.flip[n]) {
        row_with_steps(from, step, w, colour(n, c), out + (w - 1) * b, -b);
      } else {
        row_with_steps(from, step, w, colour(n, c), out, b);
      }
    }
  }

  const Shape shape_;
  const DType images_;
  const bool plain_;
  const std::vector<float> mean_, scale_;
  Feed feed_;
  float* output_ = nullptr;
  const float* grad_output_ = nullptr;
  float* grad_input_ = nullptr;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const Input& input, const Shape& shape, const Context& context) {
  return std::make_unique<InputStage>(input, shape, context);
}

}  // namespace vggnet::cpu
