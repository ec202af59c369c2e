// Fully connected layers: one matrix [outputs][columns] for all three directions. Where the window covers the input the
// rows of the other matrix are the stored images; where it slides, rows are gathered from its positions.
#include <algorithm>
#include <optional>

#include "backend/cpu/dropout.hpp"
#include "backend/cpu/elements.hpp"
#include "backend/cpu/gemm.hpp"
#include "backend/cpu/onednn.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kRowsBytes = 64 << 20;  // of gathered rows; one image may have more

VGGNET_VECTOR void add_bias(const float* __restrict bias, float* __restrict y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] += bias[i];
}

// Written so that NaN stays NaN.
VGGNET_VECTOR void add_bias_and_rectify(const float* __restrict bias, float* __restrict y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float v = y[i] + bias[i];
    y[i] = v < 0 ? 0 : v;
  }
}

// sum[j] += rows[r][j] for `count` columns of a matrix `stride` wide.
VGGNET_VECTOR void add_rows(const float* __restrict rows, int64_t height, int64_t stride, float* __restrict sum,
                            int64_t count) {
  for (int64_t r = 0; r < height; ++r)
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) sum[j] += rows[r * stride + j];
}

VGGNET_VECTOR void add_to(const float* __restrict from, float* __restrict to, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

// A window of kh x kw on blocked images of c (padded) x h x w; a row is one position, [c / b][kh][kw][b].
struct Windows {
  int64_t c, h, w, kh, kw;

  int64_t out_h() const { return h - kh + 1; }
  int64_t out_w() const { return w - kw + 1; }
  int64_t positions() const { return out_h() * out_w(); }
  int64_t columns() const { return c * kh * kw; }
  int64_t row_elements() const { return positions() * columns(); }  // of all rows of one image
};

void gather(const Windows& s, const float* images, int64_t count, float* rows) {
  const int64_t b = block(), line = s.kw * b;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < count * s.positions(); ++r) {
    const int64_t image = r / s.positions(), oy = r % s.positions() / s.out_w(), ox = r % s.out_w();
    float* to = rows + r * s.columns();
    for (int64_t plane = image * s.c / b; plane < (image + 1) * s.c / b; ++plane)
      for (int64_t y = 0; y < s.kh; ++y, to += line)
        std::copy_n(images + ((plane * s.h + oy + y) * s.w + ox) * b, line, to);
  }
}

// The transpose of gather: images = sum of the rows that saw each element.
void scatter(const Windows& s, const float* rows, int64_t count, float* images) {
  const int64_t b = block(), line = s.kw * b, blocks = s.c / b;
#pragma omp parallel for schedule(static)
  for (int64_t plane = 0; plane < count * blocks; ++plane) {
    float* to = images + plane * s.h * s.w * b;
    std::fill_n(to, s.h * s.w * b, 0.0f);
    for (int64_t position = 0; position < s.positions(); ++position) {
      const int64_t oy = position / s.out_w(), ox = position % s.out_w();
      const float* from =
          rows + (plane / blocks * s.positions() + position) * s.columns() + plane % blocks * s.kh * line;
      for (int64_t y = 0; y < s.kh; ++y, from += line) add_to(from, to + ((oy + y) * s.w + ox) * b, line);
    }
  }
}

// [count * positions][outputs] to blocked [count][outputs / b][positions][b]
void rows_to_blocks(const float* rows, int64_t count, int64_t positions, int64_t outputs, float* blocked) {
  const int64_t b = block(), blocks = outputs / b;
#pragma omp parallel for schedule(static)
  for (int64_t plane = 0; plane < count * blocks; ++plane)
    for (int64_t p = 0; p < positions; ++p)
      std::copy_n(rows + (plane / blocks * positions + p) * outputs + plane % blocks * b, b,
                  blocked + (plane * positions + p) * b);
}

void blocks_to_rows(const float* blocked, int64_t count, int64_t positions, int64_t outputs, float* rows) {
  const int64_t b = block(), blocks = outputs / b;
#pragma omp parallel for schedule(static)
  for (int64_t plane = 0; plane < count * blocks; ++plane)
    for (int64_t p = 0; p < positions; ++p)
      std::copy_n(blocked + (plane * positions + p) * b, b,
                  rows + (plane / blocks * positions + p) * outputs + plane % blocks * b);
}

// y: blocked [n][c / b][positions][b], of which `outputs` channels are real.
void drop(const DropoutMask& mask, const Controls& controls, int64_t n, int64_t outputs, int64_t positions, float* y) {
  constexpr int64_t kChunk = 1024;
  const int64_t b = block(), elements = outputs * positions, stored = padded(outputs) * positions;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t image = 0; image < n; ++image) {
    for (int64_t first = 0; first < elements; first += kChunk) {
      float factors[kChunk];
      const int64_t count = std::min(kChunk, elements - first);
      mask.write(controls, image, first, count, factors);
      float* const to = y + image * stored;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t c = (first + i) / positions, p = (first + i) % positions;
        to[(c / b * positions + p) * b + c % b] *= factors[i];
      }
    }
  }
}

class LinearStage final : public Stage {
 public:
  LinearStage(const Linear& layer, const Shape& input, const Context& context)
      : context_(context),
        windows_{padded(input.c), input.h, input.w, layer.window_h, layer.window_w},
        n_(input.n),
        outputs_(layer.outputs),
        relu_(!layer.relu.empty()),
        slides_(windows_.positions() > 1),
        images_in_piece_(slides_ ? std::clamp<int64_t>(kRowsBytes / (4 * windows_.row_elements()), 1, n_) : n_),
        blocked_(input, context.input_storage) {
    VGGNET_ASSERT(!context.mask_input || !is_plain(input, context.input_storage));
    if (context.training && layer.dropout > 0) {
      VGGNET_ASSERT(relu_);  // the stage above masks by output > 0, which must hold both
      dropout_.emplace(layer.dropout, layer.stream);
    }
    rows_at_ = round_up(blocked_.workspace_bytes(), 64);
    outputs_at_ = rows_at_ + (slides_ ? round_up(4 * rows_in_piece() * windows_.columns(), 64) : 0);
    columns_at_ = outputs_at_ + (slides_ ? round_up(4 * rows_in_piece() * padded(outputs_), 64) : 0);
    const int64_t turned = rows_in_piece() > 1 ? rows_in_piece() * (windows_.columns() + padded(outputs_)) : 0;
    requirements_.workspace_bytes = columns_at_ + round_up(4 * turned, 64);
    requirements_.algorithm = "gemm";
    requirements_.input_in_backward = context.training && (context.wants_parameter_gradients ||
                                                           (context.wants_input_gradient && context.mask_input));
  }

  void bind(const Binding& binding) override {
    binding_ = binding;
    blocked_.bind(binding.input.floats(), binding.workspace);
  }

  void forward() override {
    const float* input = blocked_.data();
    for (int64_t i = 0; i < n_; i += images_in_piece_) {
      const int64_t images = std::min(images_in_piece_, n_ - i), rows = images * windows_.positions();
      const int64_t at = i * windows_.positions() * stored_outputs();
      float* y = slides_ ? output_rows() : binding_.output.floats();
      multiply_by_weights(rows_of(input, i, images), rows, y);
      finish_rows(y, rows);
      if (slides_) rows_to_blocks(y, images, windows_.positions(), stored_outputs(), binding_.output.floats() + at);
    }
    if (dropout_)
      drop(*dropout_, *binding_.feed.controls, n_, outputs_, windows_.positions(), binding_.output.floats());
  }

  void backward(Gradients gradients) override {
    const bool weights = context_.wants_parameter_gradients && binding_.grad_weight;
    const float* input = weights ? blocked_.data() : nullptr;
    for (int64_t i = 0; i < n_; i += images_in_piece_) {
      const int64_t images = std::min(images_in_piece_, n_ - i);
      const float* dy = binding_.grad_output.floats();
      if (slides_) {
        const int64_t at = i * windows_.positions() * stored_outputs();
        blocks_to_rows(dy + at, images, windows_.positions(), stored_outputs(), output_rows());
        dy = output_rows();
      }
      const Gradients piece = i == 0 ? gradients : Gradients::accumulate;
      if (weights) add_parameter_gradients(rows_of(input, i, images), dy, images * windows_.positions(), piece);
      if (binding_.grad_input) write_input_gradient(dy, i, images);
    }
  }

 private:
  int64_t stored_outputs() const { return padded(outputs_); }
  int64_t rows_in_piece() const { return images_in_piece_ * windows_.positions(); }
  float* rows() const { return reinterpret_cast<float*>(static_cast<char*>(binding_.workspace) + rows_at_); }
  float* output_rows() const { return reinterpret_cast<float*>(static_cast<char*>(binding_.workspace) + outputs_at_); }

  const float* rows_of(const float* input, int64_t first, int64_t images) const {
    if (!slides_) return input;
    gather(windows_, input + first * windows_.c * windows_.h * windows_.w, images, rows());
    return rows();
  }

  // y [rows][outputs] = x W^T, as (W x^T)^T: with the transposes it is faster than sgemm on W^T.
  void multiply_by_weights(const float* x, int64_t rows, float* y) const {
    const Matrix weights = {binding_.weight, windows_.columns()};
    if (rows == 1) return multiply(stored_outputs(), 1, windows_.columns(), weights, {x, 1}, 0, y);
    float* const turned_x = reinterpret_cast<float*>(static_cast<char*>(binding_.workspace) + columns_at_);
    float* const turned_y = turned_x + rows * windows_.columns();
    transpose(x, rows, windows_.columns(), turned_x);
    multiply(stored_outputs(), rows, windows_.columns(), weights, {turned_x, rows}, 0, turned_y);
    transpose(turned_y, stored_outputs(), rows, y);
  }

  void finish_rows(float* y, int64_t rows) const {
    const auto finish = relu_ ? add_bias_and_rectify : add_bias;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; ++r) finish(binding_.bias, y + r * stored_outputs(), stored_outputs());
  }

  void add_parameter_gradients(const float* x, const float* dy, int64_t rows, Gradients gradients) const {
    const bool overwrite = gradients == Gradients::overwrite;
    multiply(stored_outputs(), windows_.columns(), rows, {dy, stored_outputs(), 'T'}, {x, windows_.columns()},
             overwrite ? 0 : 1, binding_.grad_weight);
    if (!context_.wants_bias_gradient || !binding_.grad_bias) return;
    const int64_t b = block();
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < stored_outputs(); j += b) {
      if (overwrite) std::fill_n(binding_.grad_bias + j, b, 0.0f);
      add_rows(dy + j, rows, stored_outputs(), binding_.grad_bias + j, b);
    }
  }

  void write_input_gradient(const float* dy, int64_t first, int64_t images) const {
    const int64_t per_image = windows_.c * windows_.h * windows_.w;
    float* const dx = binding_.grad_input.floats() + first * per_image;
    multiply(images * windows_.positions(), windows_.columns(), stored_outputs(), {dy, stored_outputs()},
             {binding_.weight, windows_.columns()}, 0, slides_ ? rows() : dx);
    if (slides_) scatter(windows_, rows(), images, dx);
    if (context_.mask_input)
      mask(dx, binding_.input.floats() + first * per_image, context_.mask_scale, dx, images * per_image);
  }

  const Context context_;
  const Windows windows_;
  const int64_t n_, outputs_;
  const bool relu_, slides_;
  const int64_t images_in_piece_;
  BlockedInput blocked_;
  std::optional<DropoutMask> dropout_;
  int64_t rows_at_ = 0, outputs_at_ = 0, columns_at_ = 0;  // bytes into the workspace
  Binding binding_;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const Linear& layer, const Shape& input, const Context& context) {
  return std::make_unique<LinearStage>(layer, input, context);
}

}  // namespace vggnet::cpu
