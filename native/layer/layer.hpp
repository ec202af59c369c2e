#pragma once
// What is to be computed, as plain values. Nothing here knows a device or JavaScript.
//
// Order, once and for all: images and activations are logically n c h w, convolution weights o i h w, linear weights
// [outputs][c h w of the window]. That is the order of files, initialisation and the public API. A device may store
// something else, and then permutes the columns of the first linear layer (fc6) with it.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tensor/shape.hpp"

namespace vggnet {

// First layer: (pixel - mean[c]) * scale[c], from uint8 n h w c with flip and colour shift, or float32 n c h w.
struct Input {
  std::string name;
  int64_t channels;
  std::vector<float> mean, scale;  // one each for a channel
};

// 3x3 with padding 1 or 1x1 without, stride 1, bias. `relu` names the rectified output; empty: none.
struct Convolution {
  std::string name, relu;
  int64_t outputs;
  int kernel;
};

// 2x2, stride 2; an odd last row or column is left out.
struct MaxPool {
  std::string name;
};

// A convolution and the pool after it as one stage: the full-size output need not exist as a whole.
struct ConvolutionPool {
  Convolution convolution;
  MaxPool pool;
};

// A separate stage only where a tap must see both sides of it.
struct Relu {
  std::string name;
};

// a / (k + alpha * sum over `size` channels of a^2)^beta (Krizhevsky 2012); alpha is not divided by size.
struct LocalNorm {
  std::string name;
  int size;
  float k, alpha, beta;
};

// Fully connected over a window that slides with stride 1 when the input is larger (paper, Sect. 3.2). `dropout` is
// the probability of zero in training, [0, 1); `stream` counts the dropout layers of the network from 0.
struct Linear {
  std::string name, relu;
  int64_t outputs;
  int64_t window_h, window_w;
  float dropout;
  uint32_t stream;
};

// A separate stage only where a tap must see the values before it.
struct Dropout {
  std::string name;
  float probability;
  uint32_t stream;
};

// n c h w -> n c 1 1.
struct SpatialMean {
  std::string name;
};

// Soft-max with cross-entropy against integer labels, on n c 1 1; last, and only in training.
struct SoftmaxLoss {
  std::string name;
};

using Layer = std::variant<Input, Convolution, MaxPool, ConvolutionPool, Relu, LocalNorm, Linear, Dropout, SpatialMean,
                           SoftmaxLoss>;

// One trainable array, in logical order.
struct Parameter {
  std::string name, layer;  // "fc6.weight", "fc6"
  bool is_weight;           // else a bias
  int64_t outputs;
  int64_t channels, kernel_h, kernel_w;  // of the input; 1 1 1 for a bias
  bool linear;                           // logical shape [outputs, channels * kernel_h * kernel_w]
  bool reads_image;                      // belongs to the layer after the input

  int64_t fan_in() const { return channels * kernel_h * kernel_w; }
  int64_t count() const { return outputs * fan_in(); }
  int64_t fan_out() const { return linear ? outputs : outputs * kernel_h * kernel_w; }
  std::vector<int64_t> dimensions() const;
};

std::string name_of(const Layer&);
const char* kind_of(const Layer&);

// Names of all outputs before and after each ReLU, in order: what a tap may be put on.
std::vector<std::string> tensor_names(const std::vector<Layer>&);

// Checks a description as the caller gives it: the values of each layer, one input and at the front, every name once.
// Throws INVALID_ARGUMENT.
void check_layers(const std::vector<Layer>&);

// Output shape of a layer. Every shape error of a network is thrown here: SHAPE_MISMATCH, or INVALID_ARGUMENT for more
// than kMostElements.
Shape output_shape(const Layer&, const Shape& input);

// The layer's weight and bias, or nothing. INVALID_ARGUMENT for more than kMostElements.
std::vector<Parameter> parameters_of(const Layer&, int64_t input_channels);

// Channels that come out of a layer.
int64_t output_channels(const Layer&, int64_t input_channels);

// Multiply-adds of one forward pass over the whole batch; multiplications of a convolution or linear layer only.
// INVALID_ARGUMENT for more than kMostOperations.
int64_t multiply_adds(const Layer&, const Shape& input);

}  // namespace vggnet
