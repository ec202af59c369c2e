#pragma once
// A direct convolution by oneDNN's primitives.
#include <optional>

#include "backend/cpu/convolution.hpp"
#include "backend/cpu/convolution_pass.hpp"
#include "backend/cpu/elements.hpp"

namespace vggnet::cpu {

class PrimitiveConvolution final : public ConvolutionEngine {
 public:
  PrimitiveConvolution(const Convolution&, const Shape& input, const Context&, int64_t limit);

  void describe(Requirements&) const override;
  void bind(const Binding&, Ring output, Ring grad_output) override;
  void refresh() override;
  void forward(size_t piece) override;
  void backward(size_t piece, Gradients) override;

 private:
  struct Step {
    Piece piece;
    ConvolutionPass::Arguments arguments;
  };

  // x: of the first image of the batch, `channels` stored.
  Step step_of(const ConvolutionPass&, const Piece&, const float* x, int64_t channels, const Ring& y) const;
  int64_t weights_bytes() const { return static_cast<int64_t>(forward_.weights().get_size()); }
  int64_t scratch_bytes() const;
  void bind_input_gradient(const Ring& grad_output);
  void bind_weight_gradient(const Ring& grad_output);
  bool grows() const { return grown_h_ != shape_.h || grown_w_ != shape_.w; }
  int64_t grown_bytes(int64_t channels) const;
  void grow_piece(const Piece&);
  void mask_piece(const Piece&);
  void widen_weights();
  void add_weight_gradient(size_t piece, Gradients);

  const Shape shape_;
  const int64_t outputs_;  // padded
  const int kernel_;
  const int64_t grown_h_, grown_w_;  // of the maps that the weight gradient sees
  const bool plain_, relu_, mask_input_, wants_bias_gradient_;
  const float mask_scale_;
  const int64_t read_channels_;  // as the convolution reads them: plain or padded
  BlockedInput blocked_;
  ConvolutionPass forward_;
  std::optional<ConvolutionPass> input_gradient_, weight_gradient_;

  char* scratch_ = nullptr;
  const float *input_ = nullptr, *weight_ = nullptr;
  float *grad_input_ = nullptr, *grown_input_ = nullptr, *grown_grad_output_ = nullptr;
  Ring output_ = {nullptr, 1}, grad_output_ = {nullptr, 1};
  float *grad_weight_ = nullptr, *grad_bias_ = nullptr;
  dnnl::memory derived_weights_;
  dnnl::memory weights_, weight_target_, weight_buffer_, bias_target_, bias_buffer_;
  dnnl::primitive reorder_weights_;
  std::vector<Step> forward_steps_, weight_steps_;
  std::vector<std::vector<Step>> input_steps_;  // for each piece of backward
};

}  // namespace vggnet::cpu
