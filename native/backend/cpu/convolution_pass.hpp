#pragma once
// One direction of a direct convolution over a batch, piece by piece, as primitives of oneDNN.
#include <map>
#include <unordered_map>
#include <vector>

#include "backend/cpu/onednn.hpp"

namespace vggnet::cpu {

enum class Direction { forward, input_gradient, weight_gradient };

// Stride 1, padding kernel / 2. Channels and outputs are padded counts, but channels of a plain input.
struct ConvolutionProblem {
  int64_t n, channels, outputs, h, w;
  int kernel;
  bool plain, bias;
};

class ConvolutionPass {
 public:
  // At most `limit` images in a piece.
  ConvolutionPass(const ConvolutionProblem&, Direction, int64_t limit);

  int64_t piece() const { return piece_; }  // images; the last piece of a range may be smaller
  int64_t scratch_bytes() const { return scratch_bytes_; }
  const dnnl::memory::desc& weights() const { return weights_; }

  // Makes what runs on `images` images at once; sizes met in a range of `images`.
  void prepare_range(int64_t images);

  using Arguments = std::unordered_map<int, dnnl::memory>;
  // A piece's arguments, without weights and bias: x is the input or its gradient, y the output or its gradient.
  Arguments arguments(int64_t images, const float* x, const float* y, void* scratch) const;
  void run(int64_t images, const Arguments&) const;

 private:
  struct Prepared {
    dnnl::primitive primitive;
    dnnl::memory::desc x, y;
    int64_t scratch_bytes;
  };

  dnnl::primitive_desc describe(int64_t images) const;
  void prepare(int64_t images);
  dnnl::memory::desc x_desc(int64_t images) const;
  dnnl::memory::desc y_desc(int64_t images) const;

  ConvolutionProblem problem_;
  Direction direction_;
  int64_t piece_, scratch_bytes_ = 0;
  dnnl::memory::desc weights_;
  std::map<int64_t, Prepared> prepared_;  // by number of images
};

}  // namespace vggnet::cpu
