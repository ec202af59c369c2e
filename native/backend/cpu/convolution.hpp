#pragma once
// What the stages of Convolution and of ConvolutionPool share: all directions of one convolution, piece by piece.
#include <algorithm>
#include <memory>

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

// Images from `first` on in pieces of `size`. Computed, not stored: `describe` plans for batches that no memory could hold.
class Pieces {
 public:
  class Iterator {
   public:
    Iterator(const Pieces& pieces, size_t index) : pieces_(pieces), index_(index) {}
    Piece operator*() const { return pieces_[index_]; }
    Iterator& operator++() { ++index_; return *this; }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const Pieces& pieces_;
    size_t index_;
  };

  Pieces() = default;  // none
  Pieces(int64_t first, int64_t images, int64_t size) : first_(first), images_(images), size_(size) {}

  bool empty() const { return images_ == 0; }
  size_t size() const { return static_cast<size_t>((images_ + size_ - 1) / size_); }
  Piece operator[](size_t index) const {
    const int64_t passed = static_cast<int64_t>(index) * size_;
    return {first_ + passed, std::min(size_, images_ - passed)};
  }
  Piece front() const { return (*this)[0]; }
  Piece back() const { return (*this)[size() - 1]; }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  int64_t first_ = 0, images_ = 0, size_ = 1;
};

class ConvolutionEngine {
 public:
  virtual ~ConvolutionEngine() = default;
  const Pieces& forward_pieces() const { return forward_pieces_; }
  const Pieces& backward_pieces() const { return backward_pieces_; }  // empty: no gradient is wanted
  virtual void describe(Requirements&) const = 0;  // all but what concerns the output

  virtual void bind(const Binding&, Ring output, Ring grad_output) = 0;
  virtual void refresh() = 0;
  virtual void forward(size_t piece) = 0;  // pieces in order
  virtual void backward(size_t piece, Gradients) = 0;

 protected:
  Pieces forward_pieces_, backward_pieces_;
};

// The fastest for this shape; at most `limit` images in a piece of the output or of its gradient.
std::unique_ptr<ConvolutionEngine> make_engine(const Convolution&, const Shape& input, const Context&, int64_t limit);

}  // namespace vggnet::cpu
