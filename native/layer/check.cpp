// The rules of a description: what each layer's values may be, and how layers and names go together.
#include <set>

#include "layer/layer.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

template <class Value>
void expect(bool holds, const char* expected, const char* field, const std::string& layer, Value value) {
  if (!holds)
    throw Error(kInvalidArgument, std::string("Expected ") + expected + " for " + field + " of layer '" + layer +
                                      "' but received " + std::to_string(value));
}

void expect_positive(const char* field, const std::string& layer, int64_t value) {
  expect(value >= 1, "a whole number from 1 up", field, layer, value);
}

void check(const Input& input) {
  expect_positive("channels", input.name, input.channels);
  for (const auto* values : {&input.mean, &input.scale}) {
    const std::string expected = std::to_string(input.channels) + " numbers, one for each channel,";
    expect(std::ssize(*values) == input.channels, expected.c_str(), values == &input.mean ? "mean" : "scale", input.name,
           values->size());
  }
}

void check(const Convolution& convolution) {
  expect_positive("outputs", convolution.name, convolution.outputs);
  expect(convolution.kernel == 1 || convolution.kernel == 3, "1 or 3", "kernel", convolution.name, convolution.kernel);
}

void check(const LocalNorm& norm) {
  expect(norm.size % 2 == 1 && norm.size <= 255, "an odd number up to 255", "size", norm.name, norm.size);
  expect(norm.k > 0, "a number above 0", "k", norm.name, norm.k);
}

void check(const Linear& linear) {
  expect_positive("outputs", linear.name, linear.outputs);
  expect_positive("the window's height", linear.name, linear.window_h);
  expect_positive("the window's width", linear.name, linear.window_w);
  expect(linear.dropout >= 0 && linear.dropout < 1, "a number from 0 up to but not including 1", "dropout", linear.name,
         linear.dropout);
}

template <class Other>
void check(const Other&) {}

}  // namespace

std::vector<std::string> tensor_names(const std::vector<Layer>& layers) {
  std::vector<std::string> names;
  for (const Layer& layer : layers) {
    names.push_back(name_of(layer));
    if (const auto* convolution = std::get_if<Convolution>(&layer); convolution && !convolution->relu.empty())
      names.push_back(convolution->relu);
    if (const auto* linear = std::get_if<Linear>(&layer); linear && !linear->relu.empty()) names.push_back(linear->relu);
  }
  return names;
}

void check_layers(const std::vector<Layer>& layers) {
  if (layers.size() < 2 || !std::holds_alternative<Input>(layers.front()))
    throw Error(kInvalidArgument, "Expected an input layer followed by at least one more for layers");
  for (size_t i = 0; i < layers.size(); ++i) {
    if (i > 0 && std::holds_alternative<Input>(layers[i]))
      throw Error(kInvalidArgument, "Expected one input layer, at the front, but layer " + std::to_string(i) + " is an input too");
    std::visit([](const auto& layer) { check(layer); }, layers[i]);
  }
  std::set<std::string> seen;
  for (const std::string& name : tensor_names(layers))
    if (name.empty() || !seen.insert(name).second)
      throw Error(kInvalidArgument, "Expected every name of a layer once but received '" + name + "' twice or empty");
}

}  // namespace vggnet
