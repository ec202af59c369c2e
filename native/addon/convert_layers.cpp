// The description of a network: lib/layer.ts on the other side.
#include <cmath>

#include "addon/convert.hpp"
#include "tensor/error.hpp"

namespace vggnet::addon {
namespace {

std::vector<float> numbers_of(const Napi::Object& object, const char* field, int64_t wanted) {
  const auto array = object.Get(field).As<Napi::Array>();
  if (!array.IsArray() || array.Length() != static_cast<uint32_t>(wanted))
    throw Error(kInvalidArgument, std::string("Expected an array of ") + std::to_string(wanted) +
                                      " numbers, one for each channel, for " + field);
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

int64_t positive(const Napi::Object& object, const char* field) {
  const int64_t count = count_of(object, field);
  if (count == 0) throw Error(kInvalidArgument, std::string("Expected a whole number from 1 up for ") + field + " but received 0");
  return count;
}

Layer input(const Napi::Object& object) {
  const int64_t channels = positive(object, "channels");
  return Input{"input", channels, numbers_of(object, "mean", channels), numbers_of(object, "scale", channels)};
}

Layer convolution(const Napi::Object& object) {
  const int64_t kernel = count_of(object, "kernel");
  if (kernel != 1 && kernel != 3)
    throw Error(kInvalidArgument, "Expected 1 or 3 for kernel but received " + std::to_string(kernel));
  return Convolution{text_of(object, "name"), optional_text(object, "relu"), positive(object, "outputs"), static_cast<int>(kernel)};
}

Layer local_norm(const Napi::Object& object) {
  const int64_t size = positive(object, "size");
  if (size % 2 == 0 || size > 255)
    throw Error(kInvalidArgument, "Expected an odd number up to 255 for size but received " + std::to_string(size));
  const auto real = [&](const char* field) { return static_cast<float>(number_of(object, field)); };
  if (!(real("k") > 0)) throw Error(kInvalidArgument, "Expected a number above 0 for k");
  return LocalNorm{text_of(object, "name"), static_cast<int>(size), real("k"), real("alpha"), real("beta")};
}

Layer linear(const Napi::Object& object, uint32_t& dropout_stream) {
  const auto window = sizes_of(object, "window");
  if (window.size() != 2 || window[0] < 1 || window[1] < 1)
    throw Error(kInvalidArgument, "Expected [height, width] from 1 up for window");
  Linear layer{text_of(object, "name"), optional_text(object, "relu"), positive(object, "outputs"), window[0], window[1], 0, 0};
  if (!object.Get("dropout").IsUndefined()) layer.dropout = static_cast<float>(number_of(object, "dropout"));
  if (!(layer.dropout >= 0 && layer.dropout < 1))
    throw Error(kInvalidArgument, "Expected a number from 0 up to but not including 1 for dropout but received " + std::to_string(layer.dropout));
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
