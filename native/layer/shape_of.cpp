#include "layer/layer.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Match(Cases...) -> Match<Cases...>;

[[noreturn]] void refuse(const std::string& layer, const std::string& expected, const Shape& input) {
  throw Error(kShapeMismatch, "Expected " + expected + " for layer '" + layer + "' but received an input of shape " +
                                  input.text() + " (n, c, h, w)");
}

// first * rest..., at most `most`; `name` says what the first factor counts.
int64_t count_within(int64_t most, const char* unit, const std::string& owner, const char* name, int64_t first,
                     std::initializer_list<int64_t> rest) {
  const auto each = product_within(most, rest);
  const auto count = each ? product_within(most, {first, *each}) : std::nullopt;
  if (count) return *count;
  std::string factors = std::to_string(first);
  for (const int64_t factor : rest) factors += " x " + std::to_string(factor);
  throw Error(kInvalidArgument, "Expected at most " + std::to_string(most) + unit + " for " + owner + " but received " +
                                    factors + (each ? "; at most " + std::to_string(most / *each) + name + " fit" : ""));
}

const Shape& checked(const std::string& layer, const Shape& shape) {
  count_within(kMostElements, " elements", "the output of layer '" + layer + "'", " images", shape.n,
               {shape.c, shape.h, shape.w});
  return shape;
}

Shape pooled(const MaxPool& pool, const Shape& x) {
  if (x.h < 2 || x.w < 2) refuse(pool.name, "at least 2x2 pixels", x);
  return {x.n, x.c, x.h / 2, x.w / 2};
}

Shape convolved(const Convolution& convolution, const Shape& x) { return {x.n, convolution.outputs, x.h, x.w}; }

std::vector<Parameter> weight_and_bias(const std::string& layer, int64_t outputs, int64_t channels, int64_t kernel_h,
                                       int64_t kernel_w, bool linear) {
  count_within(kMostElements, " elements", "the weight of layer '" + layer + "'", " outputs", outputs,
               {channels, kernel_h, kernel_w});
  return {{layer + ".weight", layer, true, outputs, channels, kernel_h, kernel_w, linear, false},
          {layer + ".bias", layer, false, outputs, 1, 1, 1, linear, false}};
}

}  // namespace

std::vector<int64_t> Parameter::dimensions() const {
  if (!is_weight) return {outputs};
  if (linear) return {outputs, fan_in()};
  return {outputs, channels, kernel_h, kernel_w};
}

std::string name_of(const Layer& layer) {
  return std::visit(Match{[](const ConvolutionPool& pair) { return pair.convolution.name + "+" + pair.pool.name; },
                          [](const auto& other) { return other.name; }},
                    layer);
}

const char* kind_of(const Layer& layer) {
  return std::visit(Match{[](const Input&) { return "input"; }, [](const Convolution&) { return "convolution"; },
                          [](const MaxPool&) { return "max-pool"; },
                          [](const ConvolutionPool&) { return "convolution + max-pool"; },
                          [](const Relu&) { return "relu"; }, [](const LocalNorm&) { return "local-norm"; },
                          [](const Linear&) { return "linear"; }, [](const Dropout&) { return "dropout"; },
                          [](const SpatialMean&) { return "spatial-mean"; },
                          [](const SoftmaxLoss&) { return "softmax-loss"; }},
                    layer);
}

Shape output_shape(const Layer& layer, const Shape& x) {
  const Shape shape = std::visit(
      Match{[&](const Input& input) {
              if (x.c != input.channels) refuse(input.name, std::to_string(input.channels) + " channels", x);
              if (x.n < 1 || x.h < 1 || x.w < 1) refuse(input.name, "at least one image of at least one pixel", x);
              return x;
            },
            [&](const Convolution& convolution) { return convolved(convolution, x); },
            [&](const MaxPool& pool) { return pooled(pool, x); },
            [&](const ConvolutionPool& pair) {
              return pooled(pair.pool, checked(pair.convolution.name, convolved(pair.convolution, x)));
            },
            [&](const Linear& linear) {
              if (x.h < linear.window_h || x.w < linear.window_w)
                refuse(linear.name,
                       "at least " + std::to_string(linear.window_h) + "x" + std::to_string(linear.window_w) +
                           " positions (the window fixed at creation)",
                       x);
              return Shape{x.n, linear.outputs, x.h - linear.window_h + 1, x.w - linear.window_w + 1};
            },
            [&](const SpatialMean&) { return Shape{x.n, x.c, 1, 1}; },
            [&](const auto&) { return x; }},
      layer);
  return checked(name_of(layer), shape);
}

int64_t output_channels(const Layer& layer, int64_t channels) {
  return std::visit(Match{[](const Convolution& convolution) { return convolution.outputs; },
                          [](const ConvolutionPool& pair) { return pair.convolution.outputs; },
                          [](const Linear& linear) { return linear.outputs; },
                          [&](const auto&) { return channels; }},
                    layer);
}

std::vector<Parameter> parameters_of(const Layer& layer, int64_t channels) {
  return std::visit(Match{[&](const Convolution& convolution) {
                            return weight_and_bias(convolution.name, convolution.outputs, channels, convolution.kernel,
                                                   convolution.kernel, false);
                          },
                          [&](const ConvolutionPool& pair) { return parameters_of(pair.convolution, channels); },
                          [&](const Linear& linear) {
                            return weight_and_bias(linear.name, linear.outputs, channels, linear.window_h,
                                                   linear.window_w, true);
                          },
                          [](const auto&) { return std::vector<Parameter>{}; }},
                    layer);
}

int64_t multiply_adds(const Layer& layer, const Shape& x) {
  const auto count = [&](const std::string& name, const Shape& y, int64_t kernel_h, int64_t kernel_w) {
    return count_within(kMostOperations, " multiply-adds", "layer '" + name + "'", " images", x.n,
                        {y.c, y.h, y.w, x.c, kernel_h, kernel_w});
  };
  return std::visit(
      Match{[&](const Convolution& convolution) {
              return count(convolution.name, convolved(convolution, x), convolution.kernel, convolution.kernel);
            },
            [&](const ConvolutionPool& pair) { return multiply_adds(pair.convolution, x); },
            [&](const Linear& linear) {
              return count(linear.name, output_shape(linear, x), linear.window_h, linear.window_w);
            },
            [](const auto&) { return int64_t{0}; }},
      layer);
}

}  // namespace vggnet
