#include "backend/cpu/convolution_winograd.hpp"

#include <algorithm>

#include "backend/cpu/blocked.hpp"
#include "backend/cpu/memory.hpp"

namespace vggnet::cpu {
namespace {

WinogradProblem problem_of(int64_t channels, int64_t outputs, const Shape& input) {
  return {channels, outputs, input.h, input.w};
}

}  // namespace

// In multiply-adds of a direct convolution for each pair of channels: 9 for a pixel; 36 for a tile, whether it is full
// or not, and some for its transforms; and the transformed weights, written and read for each call. Measured on two
// threads of Zen 4 with 512 channels. Where weights are kept it would pay a little earlier, for one image of 14x14; but
// they take four times the memory of the parameters.
bool WinogradConvolution::pays(const Convolution& layer, const Shape& input, const Context& context) {
  if (context.exact || layer.kernel != 3 || is_plain(input, context.input_storage) || !winograd_kernels()) return false;
  const int64_t tiles = input.n * problem_of(0, 0, input).tiles_per_image();
  return 9 * input.n * input.h * input.w > 41 * tiles + 1300;
}

WinogradConvolution::WinogradConvolution(const Convolution& layer, const Shape& input, const Context& context,
                                         int64_t limit)
    : shape_(input),
      context_(context),
      channels_(padded(input.c)),
      outputs_(padded(layer.outputs)),
      relu_(!layer.relu.empty()),
      output_(problem_of(channels_, outputs_, input), StoredWeights::straight),
      input_gradient_(problem_of(outputs_, channels_, input), StoredWeights::turned),
      weight_gradient_(problem_of(channels_, outputs_, input)) {
  forward_pieces_ = Pieces(0, input.n, limit);
  if (wants_weight_gradient() || wants_input_gradient()) backward_pieces_ = forward_pieces_;
  const bool whole = forward_pieces_.size() == 1;
  forward_once_ = whole && output_.reads_weights_once(input.n);
  backward_once_ = whole && input_gradient_.reads_weights_once(input.n);
}

bool WinogradConvolution::keeps_weights() const { return !context_.training && !forward_once_; }

int64_t WinogradConvolution::made_weights_bytes() const {
  if (!context_.training) return 0;
  return round_up(std::max(forward_once_ ? 0 : output_.weights_bytes(),
                           backward_once_ || !wants_input_gradient() ? 0 : input_gradient_.weights_bytes()),
                  64);
}

int64_t WinogradConvolution::scratch_bytes() const {
  int64_t bytes = 0;
  for (const Piece& piece : {forward_pieces_.front(), forward_pieces_.back()}) {  // all but the last are equal
    bytes = std::max(bytes, output_.scratch_bytes(piece.images));
    if (wants_input_gradient()) bytes = std::max(bytes, input_gradient_.scratch_bytes(piece.images));
    if (wants_weight_gradient()) bytes = std::max(bytes, weight_gradient_.scratch_bytes(piece.images));
  }
  return round_up(bytes, 64);
}

// Workspace: transformed weights of one direction, sums of the weight gradient, scratch of a pass.
void WinogradConvolution::describe(Requirements& requirements) const {
  requirements.workspace_bytes = made_weights_bytes() + sums_bytes() + scratch_bytes();
  requirements.prepared_bytes = keeps_weights() ? output_.weights_bytes() : 0;
  requirements.input_in_backward = wants_weight_gradient() || (wants_input_gradient() && context_.mask_input);
  requirements.algorithm = "winograd";
  if (backward_pieces_.empty()) return;
  requirements.algorithm += wants_input_gradient() ? "/winograd" : "/-";
  requirements.algorithm += wants_weight_gradient() ? "/winograd" : "/-";
}

void WinogradConvolution::bind(const Binding& binding, Ring output, Ring grad_output) {
  if (keeps_weights() && !kept_) kept_ = allocate(output_.weights_bytes());
  binding_ = binding;
  to_ = output;
  grad_ = grad_output;
  char* const workspace = static_cast<char*>(binding.workspace);
  weights_ = kept_ ? static_cast<float*>(kept_->data()) : reinterpret_cast<float*>(workspace);
  sums_ = reinterpret_cast<float*>(workspace + made_weights_bytes());
  scratch_ = workspace + made_weights_bytes() + sums_bytes();
}

void WinogradConvolution::refresh() {
  if (keeps_weights()) output_.transform_weights(binding_.weight, weights_);
}

float* WinogradConvolution::of_images(const Ring& ring, const Piece& piece, int64_t channels) const {
  return ring.at(piece.first, channels * shape_.h * shape_.w);
}

void WinogradConvolution::forward(size_t index) {
  const Piece& piece = forward_pieces_[index];
  const Ring input = {binding_.input.floats(), shape_.n};
  const float* const x = of_images(input, piece, channels_);
  float* const y = of_images(to_, piece, outputs_);
  const ImagesFinish finish = {.bias = binding_.bias, .relu = relu_};
  if (forward_once_) return output_.run_once(piece.images, x, binding_.weight, finish, y, scratch_);
  if (context_.training && index == 0) output_.transform_weights(binding_.weight, weights_);
  output_.run(piece.images, x, weights_, finish, y, scratch_);
}

void WinogradConvolution::backward(size_t index, Gradients gradients) {
  const Piece& piece = backward_pieces_[index];
  const Ring input = {binding_.input.floats(), shape_.n}, grad_input = {binding_.grad_input.floats(), shape_.n};
  const float* const dy = of_images(grad_, piece, outputs_);
  if (wants_weight_gradient() && binding_.grad_weight) {
    weight_gradient_.run(piece.images, of_images(input, piece, channels_), dy, index > 0, sums_, scratch_);
    if (index + 1 == backward_pieces_.size())
      weight_gradient_.finish(sums_, gradients == Gradients::accumulate, binding_.grad_weight,
                              context_.wants_bias_gradient ? binding_.grad_bias : nullptr);
  }
  if (!wants_input_gradient() || !grad_input.base) return;
  const ImagesFinish finish = {.masked_by = context_.mask_input ? of_images(input, piece, channels_) : nullptr,
                               .scale = context_.mask_input ? context_.mask_scale : 1};
  float* const dx = of_images(grad_input, piece, channels_);
  if (backward_once_) return input_gradient_.run_once(piece.images, dy, binding_.weight, finish, dx, scratch_);
  if (index == 0) input_gradient_.transform_weights(binding_.weight, weights_);
  input_gradient_.run(piece.images, dy, weights_, finish, dx, scratch_);
}

}  // namespace vggnet::cpu
