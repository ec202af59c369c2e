#include "backend/cpu/convolution_matrix.hpp"

#include <algorithm>
#include <limits>

#include "backend/cpu/blocked.hpp"
#include "backend/cpu/elements.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/cpu/memory.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kMostPixels = 4;
// Measured: to make the two matrices from the weights, and weights from a gradient, costs as much as is won on so many
// images (512 channels, 2x2, two threads of Zen 4).
constexpr int64_t kFewestImages = 32;

// Index of the tap, 0..8, through which output pixel `out` sees input pixel `in`; -1: it does not.
int tap_between(int64_t w, int64_t in, int64_t out) {
  const int64_t y = in / w - out / w + 1, x = in % w - out % w + 1;
  return y < 0 || y > 2 || x < 0 || x > 2 ? -1 : static_cast<int>(3 * y + x);
}

// [b][b] of weights, [ci][co], to [ci] lines of `stride`, and to [co] lines of `transposed_stride`.
template <int b>
VGGNET_VECTOR void write_tile(const float* tile, float* to, int64_t stride, float* transposed,
                              int64_t transposed_stride) {
  for (int ci = 0; ci < b; ++ci)
#pragma omp simd
    for (int co = 0; co < b; ++co) to[ci * stride + co] = tile ? tile[ci * b + co] : 0.0f;
  if (!transposed) return;
  for (int co = 0; co < b; ++co)
#pragma omp simd
    for (int ci = 0; ci < b; ++ci) transposed[co * transposed_stride + ci] = tile ? tile[ci * b + co] : 0.0f;
}

template <int b>
VGGNET_VECTOR void add_tile(const float* from, int64_t stride, float* tile) {
  for (int ci = 0; ci < b; ++ci)
#pragma omp simd
    for (int co = 0; co < b; ++co) tile[ci * b + co] += from[ci * stride + co];
}

// A row of outputs [k / b][pixels][b]. Written so that NaN stays NaN.
template <int b>
VGGNET_VECTOR void finish_row(const float* bias, int64_t outputs, int64_t pixels, float floor, float* row) {
  for (int64_t k = 0; k < outputs; k += b)
    for (int64_t p = 0; p < pixels; ++p)
#pragma omp simd
      for (int j = 0; j < b; ++j) {
        float& y = row[(k * pixels) + p * b + j];
        const float sum = y + bias[k + j];
        y = sum < floor ? floor : sum;
      }
}

}  // namespace

bool MatrixConvolution::pays(const Convolution& layer, const Shape& input, const Context& context) {
  return !context.exact && layer.kernel == 3 && input.h * input.w <= kMostPixels && input.n >= kFewestImages &&
         !is_plain(input, context.input_storage);
}

MatrixConvolution::MatrixConvolution(const Convolution& layer, const Shape& input, const Context& context)
    : shape_(input),
      context_(context),
      channels_(padded(input.c)),
      outputs_(padded(layer.outputs)),
      pixels_(input.h * input.w),
      relu_(!layer.relu.empty()) {
  forward_pieces_ = Pieces(0, input.n, input.n);
  if (context.training && (context.wants_parameter_gradients || context.wants_input_gradient))
    backward_pieces_ = forward_pieces_;
}

void MatrixConvolution::describe(Requirements& requirements) const {
  const bool weights = context_.training && context_.wants_parameter_gradients;
  const bool input = context_.training && context_.wants_input_gradient;
  requirements.workspace_bytes = weights ? matrix_bytes() : 0;
  requirements.prepared_bytes = matrix_bytes() * (input ? 2 : 1);
  requirements.input_in_backward = weights || (input && context_.mask_input);
  requirements.algorithm = "matrix";
}

void MatrixConvolution::bind(const Binding& binding, Ring output, Ring grad_output) {
  if (!matrix_) matrix_ = allocate(matrix_bytes());
  if (!transposed_ && context_.training && context_.wants_input_gradient) transposed_ = allocate(matrix_bytes());
  binding_ = binding;
  output_ = output.base;
  grad_output_ = grad_output.base;
  matrix_gradient_ = static_cast<float*>(binding.workspace);
}

void MatrixConvolution::refresh() {
  const int64_t b = block(), tile = b * b;
  const auto write = b == 16 ? write_tile<16> : write_tile<8>;
  float* const to = static_cast<float*>(matrix_->data());
  float* const transposed = transposed_ ? static_cast<float*>(transposed_->data()) : nullptr;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t c = 0; c < channels_; c += b) {
    for (int64_t k = 0; k < outputs_; k += b) {
      const float* taps = binding_.weight + (k / b * channels_ / b + c / b) * 9 * tile;
      for (int64_t in = 0; in < pixels_; ++in) {
        for (int64_t out = 0; out < pixels_; ++out) {
          const int tap = tap_between(shape_.w, in, out);
          const int64_t row = c * pixels_ + in * b, column = k * pixels_ + out * b;
          write(tap < 0 ? nullptr : taps + tap * tile, to + row * columns() + column, columns(),
                transposed ? transposed + column * rows() + row : nullptr, rows());
        }
      }
    }
  }
}

void MatrixConvolution::forward(size_t) {
  multiply(shape_.n, columns(), rows(), {binding_.input.floats(), rows()},
           {static_cast<float*>(matrix_->data()), columns()}, 0, output_);
  finish_rows();
}

void MatrixConvolution::finish_rows() {
  const auto finish = block() == 16 ? finish_row<16> : finish_row<8>;
  const float floor = relu_ ? 0 : -std::numeric_limits<float>::infinity();
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < shape_.n; ++n) finish(binding_.bias, outputs_, pixels_, floor, output_ + n * columns());
}

void MatrixConvolution::backward(size_t, Gradients gradients) {
  if (context_.wants_parameter_gradients && binding_.grad_weight) {
    multiply(rows(), columns(), shape_.n, {binding_.input.floats(), rows(), 'T'}, {grad_output_, columns()}, 0,
             matrix_gradient_);
    fold_weight_gradient(gradients);
    if (context_.wants_bias_gradient) add_bias_gradient(gradients);
  }
  if (!context_.wants_input_gradient || !binding_.grad_input) return;
  float* const dx = binding_.grad_input.floats();
  multiply(shape_.n, rows(), columns(), {grad_output_, columns()}, {static_cast<float*>(transposed_->data()), rows()}, 0,
           dx);
  if (context_.mask_input) mask(dx, binding_.input.floats(), context_.mask_scale, dx, shape_.n * rows());
}

// A weight's gradient is the sum over the positions of the matrix where it stands.
void MatrixConvolution::fold_weight_gradient(Gradients gradients) {
  const int64_t b = block(), tile = b * b;
  const auto add = b == 16 ? add_tile<16> : add_tile<8>;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t k = 0; k < outputs_; k += b) {
    for (int64_t c = 0; c < channels_; c += b) {
      float* const taps = binding_.grad_weight + (k / b * channels_ / b + c / b) * 9 * tile;
      if (gradients == Gradients::overwrite) std::fill_n(taps, 9 * tile, 0.0f);
      for (int64_t in = 0; in < pixels_; ++in) {
        for (int64_t out = 0; out < pixels_; ++out) {
          const int tap = tap_between(shape_.w, in, out);
          const float* from = matrix_gradient_ + (c * pixels_ + in * b) * columns() + k * pixels_ + out * b;
          if (tap >= 0) add(from, columns(), taps + tap * tile);
        }
      }
    }
  }
}

void MatrixConvolution::add_bias_gradient(Gradients gradients) {
  const int64_t b = block();
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < outputs_; k += b) {
    float* const to = binding_.grad_bias + k;
    if (gradients == Gradients::overwrite) std::fill_n(to, b, 0.0f);
    for (int64_t n = 0; n < shape_.n; ++n)
      for (int64_t i = 0; i < pixels_ * b; ++i) to[i % b] += grad_output_[n * columns() + k * pixels_ + i];
  }
}

}  // namespace vggnet::cpu
