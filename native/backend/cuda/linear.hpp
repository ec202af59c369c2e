#pragma once
// Fully connected layers. The stored weights are a matrix [outputs][window c], and at the same time a convolution's,
// k r s c: where the window covers the input, or is 1x1, the stored images are the rows of the other matrix; where it
// slides, cuDNN convolves.
#include <optional>

#include "backend/cuda/convolution.hpp"

namespace vggnet::cuda {

// Pure, so that the check without a card builds exactly those that run. Nothing where products are made.
std::optional<ConvolutionGraphs> graphs_of(const Linear&, const Shape& input, const Context&, const Setting&);

// What products and convolutions have in common: micro-batches, dropout, masks. The workspace is the library's scratch,
// and after it, in the backward pass: a weight gradient, a bias gradient, partial sums.
class LinearStage : public Stage {
 public:
  LinearStage(const Linear&, const Shape& input, const Context&, const Setting&);

  void bind(const Binding&) final;
  void refresh() final { setting_.parameters->refresh(*setting_.device); }
  void forward() final;
  void backward(Gradients) final;

 protected:
  virtual void choose_plans() = 0;
  virtual void write_output() = 0;                                         // all but dropout
  virtual void write_parameter_gradients(float* weight, float* bias) = 0;  // bias: null where it is not wanted
  virtual void write_input_gradient() = 0;                                 // masked

  // The constructor of a class that knows its library calls it.
  void lay_out(int64_t library_bytes, int64_t forward_scratch_bytes);

  bool wants_parameter_gradients() const { return context_.training && context_.wants_parameter_gradients; }
  bool wants_bias_gradient() const { return context_.wants_bias_gradient && binding_.grad_bias; }
  void* forward_scratch() const { return part_; }
  float* weight_scratch() const { return reinterpret_cast<float*>(part_); }
  float* bias_scratch() const { return reinterpret_cast<float*>(part_ + sums_at_); }
  void sum_output_gradient(float* sums) const;

  const Linear layer_;
  const Context context_;
  const Setting setting_;
  const Shape shape_;                       // of the output
  const int64_t outputs_, rows_, columns_;  // padded; positions of the window; elements that it sees
  const Element result_;  // of the output
  Binding binding_;

 private:
  void give_parameter_gradients(Gradients);

  int64_t library_bytes_ = 0, sums_at_ = 0, partial_at_ = 0;  // the last two: byte offsets into the part after the library's
  char* part_ = nullptr;
};

std::unique_ptr<Stage> make_sliding_stage(const Linear&, const Shape& input, const Context&, const Setting&,
                                          const ConvolutionGraphs&);  // linear_sliding.cpp

}  // namespace vggnet::cuda
