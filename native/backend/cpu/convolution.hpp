#pragma once
// What the stages of Convolution and of ConvolutionPool share: all directions of one convolution, piece by piece.
#include <memory>
#include <vector>

#include "backend/backend.hpp"

namespace vggnet::cpu {

// Memory on the output's side, with room for `images` images: image i of the batch lies at i % images.
struct Ring {
  float* base;
  int64_t images;

  float* at(int64_t image, int64_t per_image) const { return base + image % images * per_image; }
};

struct Piece {
  int64_t first, images;
};

// Images from `first` on in pieces of `size`.
std::vector<Piece> pieces_of(int64_t first, int64_t images, int64_t size);

class ConvolutionEngine {
 public:
  virtual ~ConvolutionEngine() = default;
  const std::vector<Piece>& forward_pieces() const { return forward_pieces_; }
  const std::vector<Piece>& backward_pieces() const { return backward_pieces_; }  // empty: no gradient is wanted
  virtual void describe(Requirements&) const = 0;  // all but what concerns the output

  virtual void bind(const Binding&, Ring output, Ring grad_output) = 0;
  virtual void refresh() = 0;
  virtual void forward(size_t piece) = 0;  // pieces in order
  virtual void backward(size_t piece, Gradients) = 0;

 protected:
  std::vector<Piece> forward_pieces_, backward_pieces_;
};

// The fastest for this shape; at most `limit` images in a piece of the output or of its gradient.
std::unique_ptr<ConvolutionEngine> make_engine(const Convolution&, const Shape& input, const Context&, int64_t limit);

}  // namespace vggnet::cpu
