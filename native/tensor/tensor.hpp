#pragma once
#include "tensor/shape.hpp"

namespace vggnet {

enum class DType { float32, uint8 };

// The kinds of tensors. Each device chooses how it stores them.
enum class Storage {
  image,       // what the input layer writes: few channels
  activation,  // everything after it, and every gradient
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
