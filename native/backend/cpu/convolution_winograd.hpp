#pragma once
// A 3x3 convolution by Winograd's algorithm in all its directions. Without training the transformed weights are kept
// until the parameters change; in training, where they change each step, they are made in the workspace for each pass. A pass that
// reads them only once, of a few small images, makes them panel by panel in the caches instead.
#include <memory>
#include <optional>

#include "backend/cpu/convolution.hpp"
#include "backend/cpu/winograd_pass.hpp"

namespace vggnet::cpu {

class WinogradConvolution final : public ConvolutionEngine {
 public:
  static bool pays(const Convolution&, const Shape& input, const Context&);

  WinogradConvolution(const Convolution&, const Shape& input, const Context&, int64_t limit);

  void describe(Requirements&) const override;
  void bind(const Binding&, Ring output, Ring grad_output) override;
  void refresh() override;
  void forward(size_t piece) override;
  void backward(size_t piece, Gradients) override;

 private:
  bool wants_weight_gradient() const { return context_.training && context_.wants_parameter_gradients; }
  bool wants_input_gradient() const { return context_.training && context_.wants_input_gradient; }
  bool keeps_weights() const;
  int64_t made_weights_bytes() const;
  int64_t sums_bytes() const { return wants_weight_gradient() ? round_up(weight_gradient_.sums_bytes(), 64) : 0; }
  int64_t scratch_bytes() const;
  float* of_images(const Ring& ring, const Piece& piece, int64_t channels) const;

  const Shape shape_;
  const Context context_;
  const int64_t channels_, outputs_;  // padded
  const bool relu_;
  const WinogradOutputs output_, input_gradient_;
  const WinogradWeightGradient weight_gradient_;

  bool forward_once_ = false, backward_once_ = false;
  std::unique_ptr<Memory> kept_;
  Binding binding_;
  Ring to_ = {nullptr, 1}, grad_ = {nullptr, 1};
  float *weights_ = nullptr, *sums_ = nullptr;
  void* scratch_ = nullptr;
};

}  // namespace vggnet::cpu
