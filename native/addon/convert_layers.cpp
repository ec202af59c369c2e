// The description of a network: lib/layer.ts on the other side. Its rules: check_layers.
#include <cmath>
#include <limits>

#include "addon/convert.hpp"
#include "tensor/error.hpp"

namespace vggnet::addon {
namespace {

std::vector<float> numbers_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsArray()) throw Error(kInvalidArgument, std::string("Expected an array of numbers for ") + field);
  const auto array = value.As<Napi::Array>();
  std::vector<float> numbers;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const double number = array.Get(i).IsNumber() ? array.Get(i).As<Napi::Number>().DoubleValue() : NAN;
    if (!std::isfinite(number)) throw Error(kInvalidArgument, std::string("Expected finite numbers for ") + field);
    numbers.push_back(static_cast<float>(number));
  }
  return numbers;
}

std::string optional_text(const Napi::Object& object, const char* field) {
  return object.Get(field).IsUndefined() ? std::string() : text_of(object, field);
}

float float_of(const Napi::Object& object, const char* field) { return static_cast<float>(number_of(object, field)); }

int int_of(const Napi::Object& object, const char* field) {
  const int64_t count = count_of(object, field);
  if (count > std::numeric_limits<int>::max())
    throw Error(kInvalidArgument, std::string("Expected a smaller number for ") + field + " but received " + std::to_string(count));
  return static_cast<int>(count);
}

Layer input(const Napi::Object& object) {
  return Input{"input", count_of(object, "channels"), numbers_of(object, "mean"), numbers_of(object, "scale")};
}

Layer convolution(const Napi::Object& object) {
  return Convolution{text_of(object, "name"), optional_text(object, "relu"), count_of(object, "outputs"), int_of(object, "kernel")};
}

Layer local_norm(const Napi::Object& object) {
  return LocalNorm{text_of(object, "name"), int_of(object, "size"), float_of(object, "k"), float_of(object, "alpha"),
                   float_of(object, "beta")};
}

Layer linear(const Napi::Object& object, uint32_t& dropout_stream) {
  const auto window = sizes_of(object, "window");
  if (window.size() != 2) throw Error(kInvalidArgument, "Expected [height, width] for window");
  Linear layer{text_of(object, "name"), optional_text(object, "relu"), count_of(object, "outputs"), window[0], window[1], 0, 0};
  if (!object.Get("dropout").IsUndefined()) layer.dropout = float_of(object, "dropout");
  if (layer.dropout > 0) layer.stream = dropout_stream++;
  return layer;
}

}  // namespace

std::vector<Layer> layers_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsArray()) throw Error(kInvalidArgument, std::string("Expected an array of layers for ") + field);
  const auto array = value.As<Napi::Array>();
  std::vector<Layer> layers;
  uint32_t dropout_stream = 0;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    if (!array.Get(i).IsObject()) throw Error(kInvalidArgument, "Expected an object for layer " + std::to_string(i));
    const auto layer = array.Get(i).As<Napi::Object>();
    const std::string kind = text_of(layer, "kind");
    if (kind == "input") layers.push_back(input(layer));
    else if (kind == "convolution") layers.push_back(convolution(layer));
    else if (kind == "max-pool") layers.push_back(MaxPool{text_of(layer, "name")});
    else if (kind == "local-norm") layers.push_back(local_norm(layer));
    else if (kind == "linear") layers.push_back(linear(layer, dropout_stream));
    else if (kind == "spatial-mean") layers.push_back(SpatialMean{text_of(layer, "name")});
    else throw Error(kInvalidArgument, "Expected input, convolution, max-pool, local-norm, linear or spatial-mean for kind but received '" + kind + "'");
  }
  return layers;
}

}  // namespace vggnet::addon
