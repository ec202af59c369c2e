#pragma once
// Layers as plain loops over n c h w.
#include <memory>

#include "backend/backend.hpp"

namespace vggnet::serial {

// What a stage computes, without a device's queue. It holds nothing that changes.
class Loops {
 public:
  virtual ~Loops() = default;
  const Requirements& requirements() const { return requirements_; }
  virtual void forward(const Binding&) const = 0;
  virtual void backward(const Binding&, Gradients) const = 0;

 protected:
  Requirements requirements_;
};

std::shared_ptr<const Loops> make_loops(const Layer&, const Shape& input, const Context&);

// Convolution and linear layers, with the pool that may follow (products.cpp).
std::shared_ptr<const Loops> make_product(const Convolution&, const Shape& input, const Context&);
std::shared_ptr<const Loops> make_product(const ConvolutionPool&, const Shape& input, const Context&);
std::shared_ptr<const Loops> make_product(const Linear&, const Shape& input, const Context&);

// gradient = x > 0 ? gradient * scale : 0
void mask(const float* x, float scale, int64_t count, float* gradient);

// The gradient that a stage hands down.
void mask_input(const Context&, const Binding&);

// 2x2 max-pooling of planes of h x w; index: the position of the largest of four, or null.
void pool(const float* x, int64_t planes, int64_t h, int64_t w, float* y, uint8_t* index);
void unpool(const float* dy, const uint8_t* index, int64_t planes, int64_t h, int64_t w, float* dx);

// values *= 0 or 1 / (1 - p)
void drop(float probability, uint32_t stream, const Controls&, int64_t images, int64_t per_image, float* values);

}  // namespace vggnet::serial
