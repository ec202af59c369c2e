#pragma once
#include "tensor/shape.hpp"

namespace vggnet {

enum class DType { float32, uint8 };

// How a device stores a tensor is its own affair; it knows these kinds.
enum class Storage {
  image,       // what the input layer writes: few channels
  activation,  // everything behind it, and every gradient
  score,       // the network's output where a linear layer or a mean gives it: float32 whatever the precision
};

// A view of memory of the device; owns nothing. data == nullptr means "not wanted".
struct Tensor {
  void* data = nullptr;
  Shape shape;
  Storage storage = Storage::activation;

  explicit operator bool() const { return data != nullptr; }
  float* floats() const { return static_cast<float*>(data); }
};

}  // namespace vggnet
