#include "backend/cpu/convolution_primitive.hpp"

#include <algorithm>

#include "backend/cpu/parameters.hpp"
#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

ConvolutionProblem problem_of(const Convolution& layer, const Shape& input, bool plain) {
  return {.n = input.n, .channels = plain ? input.c : padded(input.c), .outputs = padded(layer.outputs), .h = input.h,
          .w = input.w, .kernel = layer.kernel, .plain = plain, .bias = true};
}

VGGNET_VECTOR void add_chunk(const float* __restrict from, float* __restrict to, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

void add(const float* from, float* to, int64_t count) {
  constexpr int64_t kChunk = 1 << 14;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; i += kChunk) add_chunk(from + i, to + i, std::min(kChunk, count - i));
}

// oneDNN has only its reference weight gradient for AVX2 on maps of one or two rows or columns. With zeros around input
// and gradient it is the same sum.
int64_t grown(const Shape& shape, int kernel, int64_t extent) {
  const bool too_small = block() == 8 && kernel == 3 && std::min(shape.h, shape.w) < 3;
  return too_small ? std::max<int64_t>(extent, 4) : extent;
}

// from: planes [h][w][lane], to: planes [to_h][to_w][lane], zero beyond h and w
void grow(const float* from, int64_t planes, int64_t h, int64_t w, int64_t lane, int64_t to_h, int64_t to_w,
          float* to) {
#pragma omp parallel for schedule(static)
  for (int64_t plane = 0; plane < planes; ++plane) {
    float* const begin = to + plane * to_h * to_w * lane;
    std::fill_n(begin, to_h * to_w * lane, 0.0f);
    for (int64_t y = 0; y < h; ++y)
      std::copy_n(from + (plane * h + y) * w * lane, w * lane, begin + y * to_w * lane);
  }
}

}  // namespace

PrimitiveConvolution::PrimitiveConvolution(const Convolution& layer, const Shape& input, const Context& context,
                                           int64_t limit)
    : shape_(input),
      outputs_(padded(layer.outputs)),
      kernel_(layer.kernel),
      grown_h_(grown(input, layer.kernel, input.h)),
      grown_w_(grown(input, layer.kernel, input.w)),
      plain_(is_plain(input, context.input_storage) && convolves_plain(input.c, layer.kernel)),
      relu_(!layer.relu.empty()),
      mask_input_(context.mask_input),
      wants_bias_gradient_(context.wants_bias_gradient),
      mask_scale_(context.mask_scale),
      read_channels_(plain_ ? input.c : padded(input.c)),
      blocked_(input, plain_ ? Storage::activation : context.input_storage),
      forward_(problem_of(layer, input, plain_), Direction::forward, limit) {
  VGGNET_ASSERT(!mask_input_ || !is_plain(input, context.input_storage));
  forward_.prepare_range(input.n);
  forward_pieces_ = Pieces(0, input.n, forward_.piece());
  if (!context.training) return;
  ConvolutionProblem problem = problem_of(layer, input, plain_);
  problem.bias = wants_bias_gradient_;
  if (context.wants_parameter_gradients) {
    problem.h = grown_h_;
    problem.w = grown_w_;
    weight_gradient_.emplace(problem, Direction::weight_gradient, limit);
    weight_gradient_->prepare_range(input.n);
    backward_pieces_ = Pieces(0, input.n, weight_gradient_->piece());
  }
  if (!context.wants_input_gradient) return;
  problem = problem_of(layer, input, false);
  const int64_t within = weight_gradient_ ? weight_gradient_->piece() : limit;
  input_gradient_.emplace(problem, Direction::input_gradient, within);
  if (!weight_gradient_) backward_pieces_ = Pieces(0, input.n, input_gradient_->piece());
  input_gradient_->prepare_range(backward_pieces_.front().images);  // all but the last have this size
  input_gradient_->prepare_range(backward_pieces_.back().images);
}

// Workspace: the input packed into blocks, if it must be; scratch of oneDNN; gradients and grown maps
// of a piece.
void PrimitiveConvolution::describe(Requirements& requirements) const {
  requirements.workspace_bytes = round_up(blocked_.workspace_bytes(), 64) + scratch_bytes();
  if (weight_gradient_)
    requirements.workspace_bytes += round_up(weights_bytes(), 64) + round_up(4 * outputs_, 64) +
                                    grown_bytes(read_channels_) + grown_bytes(outputs_);
  requirements.prepared_bytes = input_gradient_ ? static_cast<int64_t>(input_gradient_->weights().get_size()) : 0;
  requirements.input_in_backward = weight_gradient_ || (input_gradient_ && mask_input_);
  requirements.algorithm = "direct";
  if (backward_pieces_.empty()) return;
  requirements.algorithm += input_gradient_ ? "/direct" : "/-";
  requirements.algorithm += weight_gradient_ ? "/direct" : "/-";
}

int64_t PrimitiveConvolution::scratch_bytes() const {
  int64_t bytes = forward_.scratch_bytes();
  if (input_gradient_) bytes = std::max(bytes, input_gradient_->scratch_bytes());
  if (weight_gradient_) bytes = std::max(bytes, weight_gradient_->scratch_bytes());
  return round_up(bytes, 64);
}

int64_t PrimitiveConvolution::grown_bytes(int64_t channels) const {
  return grows() ? round_up(4 * weight_gradient_->piece() * channels * grown_h_ * grown_w_, 64) : 0;
}

PrimitiveConvolution::Step PrimitiveConvolution::step_of(const ConvolutionPass& pass, const Piece& piece, const float* x,
                                                   int64_t channels, const Ring& y) const {
  const int64_t hw = shape_.h * shape_.w;
  return {piece, pass.arguments(piece.images, x + piece.first * channels * hw,
                                y.at(piece.first, outputs_ * hw), scratch_)};
}

void PrimitiveConvolution::bind(const Binding& binding, Ring output, Ring grad_output) {
  char* const workspace = static_cast<char*>(binding.workspace);
  scratch_ = workspace + round_up(blocked_.workspace_bytes(), 64);
  output_ = output;
  grad_output_ = grad_output;
  blocked_.bind(binding.input.floats(), workspace);
  input_ = blocked_.workspace_bytes() > 0 ? reinterpret_cast<float*>(workspace) : binding.input.floats();
  weight_ = binding.weight;
  weights_ = view(forward_.weights(), weight_);
  if (input_gradient_ && !derived_weights_)
    derived_weights_ = checked("memory", [&] { return dnnl::memory(input_gradient_->weights(), engine()); });

  forward_steps_.clear();
  const dnnl::memory bias = view(floats_desc(outputs_), binding.bias);
  for (const Piece& piece : forward_pieces_) {
    forward_steps_.push_back(step_of(forward_, piece, input_, read_channels_, output));
    forward_steps_.back().arguments.insert({{DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_BIAS, bias}});
  }
  grad_input_ = binding.grad_input.floats();
  grad_weight_ = binding.grad_weight;
  grad_bias_ = binding.grad_bias;
  if (weight_gradient_ && grad_weight_) bind_weight_gradient(grad_output);
  if (input_gradient_ && grad_input_) bind_input_gradient(grad_output);
}

void PrimitiveConvolution::bind_weight_gradient(const Ring& grad_output) {
  char* const buffer = scratch_ + scratch_bytes();
  char* const bias_buffer = buffer + round_up(weights_bytes(), 64);
  char* const grown_maps = bias_buffer + round_up(4 * outputs_, 64);
  weight_target_ = view(weight_gradient_->weights(), grad_weight_);
  weight_buffer_ = view(weight_gradient_->weights(), buffer);
  bias_target_ = view(floats_desc(outputs_), grad_bias_);
  bias_buffer_ = view(floats_desc(outputs_), bias_buffer);
  grown_input_ = reinterpret_cast<float*>(grown_maps);
  grown_grad_output_ = reinterpret_cast<float*>(grown_maps + grown_bytes(read_channels_));
  weight_steps_.clear();
  for (const Piece& piece : backward_pieces_)
    weight_steps_.push_back(
        grows() ? Step{piece, weight_gradient_->arguments(piece.images, grown_input_, grown_grad_output_, scratch_)}
                : step_of(*weight_gradient_, piece, input_, read_channels_, grad_output));
}

void PrimitiveConvolution::grow_piece(const Piece& piece) {
  const int64_t b = block(), hw = shape_.h * shape_.w, lane = plain_ ? 1 : b;
  const float* x = input_ + piece.first * read_channels_ * hw;
  const float* dy = grad_output_.at(piece.first, outputs_ * hw);
  const int64_t x_planes = piece.images * read_channels_ / lane, dy_planes = piece.images * outputs_ / b;
  grow(x, x_planes, shape_.h, shape_.w, lane, grown_h_, grown_w_, grown_input_);
  grow(dy, dy_planes, shape_.h, shape_.w, b, grown_h_, grown_w_, grown_grad_output_);
}

void PrimitiveConvolution::bind_input_gradient(const Ring& grad_output) {
  if (!plain_)
    reorder_weights_ = checked("reorder", [&] { return dnnl::reorder(weights_, derived_weights_); });
  input_steps_.clear();
  for (const Piece& outer : backward_pieces_) {
    std::vector<Step>& steps = input_steps_.emplace_back();
    for (const Piece& piece : Pieces(outer.first, outer.images, input_gradient_->piece())) {
      steps.push_back(step_of(*input_gradient_, piece, grad_input_, padded(shape_.c), grad_output));
      steps.back().arguments.insert({DNNL_ARG_WEIGHTS, derived_weights_});
    }
  }
}

// The weights of a plain image's channels as those of a whole block, for a gradient in blocks.
void PrimitiveConvolution::widen_weights() {
  const int64_t b = block(), taps = kernel_ * kernel_;
  float* to = static_cast<float*>(derived_weights_.get_data_handle());
  for (int64_t group = 0; group < outputs_ / b * taps; ++group) {  // of b outputs, for one tap
    const float* from = weight_ + group * shape_.c * b;            // [c][b outputs]
    for (int64_t o = 0; o < b; ++o)
      for (int64_t i = 0; i < b; ++i) *to++ = i < shape_.c ? from[i * b + o] : 0;
  }
}

void PrimitiveConvolution::refresh() {
  if (!input_gradient_) return;
  if (plain_) return widen_weights();
  checked("reorder", [&] {
    reorder_weights_.execute(stream(), {{DNNL_ARG_FROM, weights_}, {DNNL_ARG_TO, derived_weights_}});
    stream().wait();
  });
}

void PrimitiveConvolution::forward(size_t piece) {
  if (piece == 0) blocked_.data();
  const Step& step = forward_steps_[piece];
  forward_.run(step.piece.images, step.arguments);
  if (!relu_) return;
  const int64_t per_image = outputs_ * shape_.h * shape_.w;
  float* const y = output_.at(step.piece.first, per_image);
  rectify(y, y, step.piece.images * per_image);  // oneDNN's ReLU would turn NaN into 0
}

void PrimitiveConvolution::backward(size_t piece, Gradients gradients) {
  if (weight_gradient_ && grad_weight_) add_weight_gradient(piece, gradients);
  if (!input_gradient_ || !grad_input_) return;
  for (const Step& step : input_steps_[piece]) {
    input_gradient_->run(step.piece.images, step.arguments);
    if (mask_input_) mask_piece(step.piece);
  }
}

void PrimitiveConvolution::mask_piece(const Piece& piece) {
  const int64_t per_image = padded(shape_.c) * shape_.h * shape_.w, first = piece.first * per_image;
  mask(grad_input_ + first, input_ + first, mask_scale_, grad_input_ + first, piece.images * per_image);
}

// oneDNN overwrites: all but the first piece of an overwritten gradient come through the buffer.
void PrimitiveConvolution::add_weight_gradient(size_t piece, Gradients gradients) {
  if (piece == 0) blocked_.data();
  Step& step = weight_steps_[piece];
  if (grows()) grow_piece(step.piece);
  const bool overwrite = piece == 0 && gradients == Gradients::overwrite;
  step.arguments.insert_or_assign(DNNL_ARG_DIFF_WEIGHTS, overwrite ? weight_target_ : weight_buffer_);
  if (wants_bias_gradient_)
    step.arguments.insert_or_assign(DNNL_ARG_DIFF_BIAS, overwrite ? bias_target_ : bias_buffer_);
  weight_gradient_->run(step.piece.images, step.arguments);
  if (overwrite) return;
  add(static_cast<float*>(weight_buffer_.get_data_handle()), grad_weight_, weights_bytes() / 4);
  if (wants_bias_gradient_) add(static_cast<float*>(bias_buffer_.get_data_handle()), grad_bias_, outputs_);
}

}  // namespace vggnet::cpu
