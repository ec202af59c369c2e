#pragma once
// A 3x3 convolution on maps of at most four pixels as one product of matrices. On 2x2 every output sees every input, so
// the weights become a matrix of [channels * pixels][outputs * pixels] that an image, as it is stored, is a row for:
// 16 multiplications for each pair of channels where Winograd's tile takes 36.
#include <memory>

#include "backend/cpu/convolution.hpp"

namespace vggnet::cpu {

class MatrixConvolution final : public ConvolutionEngine {
 public:
  static bool pays(const Convolution&, const Shape& input, const Context&);

  MatrixConvolution(const Convolution&, const Shape& input, const Context&);

  void describe(Requirements&) const override;
  void bind(const Binding&, Ring output, Ring grad_output) override;
  void refresh() override;
  void forward(size_t piece) override;
  void backward(size_t piece, Gradients) override;

 private:
  int64_t rows() const { return channels_ * pixels_; }
  int64_t columns() const { return outputs_ * pixels_; }
  int64_t matrix_bytes() const { return 4 * rows() * columns(); }
  void finish_rows();
  void fold_weight_gradient(Gradients);
  void add_bias_gradient(Gradients);

  const Shape shape_;
  const Context context_;
  const int64_t channels_, outputs_, pixels_;  // channels and outputs padded
  const bool relu_;
  // [rows][columns], and its transpose for the input gradient: sgemm is slow on a transposed second matrix.
  std::unique_ptr<Memory> matrix_, transposed_;

  Binding binding_;
  float *output_ = nullptr, *matrix_gradient_ = nullptr;
  const float* grad_output_ = nullptr;
};

}  // namespace vggnet::cpu
