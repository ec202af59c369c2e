#include "addon/convert.hpp"

#include <cmath>
#include <cstring>

#include "backend/open.hpp"
#include "tensor/error.hpp"

namespace vggnet::addon {
namespace {

constexpr double kLargestExact = 9007199254740991.0;  // 2^53 - 1

[[noreturn]] void refuse(const char* expected, const std::string& field, const Napi::Value& value) {
  throw Error(kInvalidArgument, std::string("Expected ") + expected + " for " + field + " but received " +
                                    value.ToString().Utf8Value());
}

// A detached buffer reads as one of length 0.
template <class Array>
Array array_from(const Napi::Value& value, const std::string& name, napi_typedarray_type type, const char* expected) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) refuse(expected, name, value);
  return value.As<Array>();
}

template <class Array>
auto copied(const Array& array) {
  using Value = std::decay_t<decltype(array.Data()[0])>;
  return std::vector<Value>(array.Data(), array.Data() + array.ElementLength());
}

bool given(const Napi::Object& object, const char* field) { return !object.Get(field).IsUndefined(); }

HostTensor host_tensor(const Napi::Object& object) {
  HostTensor tensor{sizes_of(object, "shape"), floats_of(object, "data")};
  int64_t count = 1;
  for (int64_t size : tensor.dimensions) count *= size;
  if (count != static_cast<int64_t>(tensor.values.size()) || count == 0)
    throw Error(kShapeMismatch, "Expected " + std::to_string(count) + " values for a tensor's data but received " +
                                    std::to_string(tensor.values.size()) + " (a detached buffer has none)");
  return tensor;
}

std::map<std::string, HostTensor> host_tensors(const Napi::Object& named) {
  std::map<std::string, HostTensor> tensors;
  const Napi::Array keys = named.GetPropertyNames();
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const std::string name = keys.Get(i).ToString().Utf8Value();
    tensors[name] = host_tensor(object_of(named, name.c_str()));
  }
  return tensors;
}

std::vector<int32_t> labels_of(const Napi::Object& object) {
  return copied(integers_from(object.Get("labels"), "labels"));
}

HostBytes copied_to(HostPool& pool, const Napi::TypedArray& array) {
  const auto count = static_cast<int64_t>(array.ByteLength());
  HostBytes bytes{pool.take(count), count};
  std::memcpy(bytes.memory->data(), static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset(), count);
  return bytes;
}

Images images_of(const Napi::Object& object, HostPool& pool) {
  Images images;
  const Napi::Value data = object.Get("data");
  const auto type = data.IsTypedArray() ? data.As<Napi::TypedArray>().TypedArrayType() : napi_int8_array;
  if (type != napi_uint8_array && type != napi_float32_array) refuse("a Uint8Array or a Float32Array", "images", data);
  images.dtype = type == napi_uint8_array ? DType::uint8 : DType::float32;
  const auto sizes = sizes_of(object, "shape");
  if (sizes.size() != 4) throw Error(kShapeMismatch, "Expected 4 dimensions for images but received " + std::to_string(sizes.size()));
  images.shape = images.dtype == DType::uint8 ? Shape{sizes[0], sizes[3], sizes[1], sizes[2]}
                                              : Shape{sizes[0], sizes[1], sizes[2], sizes[3]};
  const auto array = data.As<Napi::TypedArray>();
  if (images.shape.per_image() == 0 || static_cast<int64_t>(array.ElementLength()) != images.shape.count())
    throw Error(kShapeMismatch, "Expected " + std::to_string(images.shape.count()) + " values for images of this shape but received " +
                                    std::to_string(array.ElementLength()) + " (a detached buffer has none)");
  if (images.shape.n > 0) images.bytes = copied_to(pool, array);
  if (given(object, "flip")) images.flip = copied(array_from<Napi::Uint8Array>(object.Get("flip"), "flip", napi_uint8_array, "a Uint8Array"));
  if (given(object, "shift")) images.shift = floats_of(object, "shift");
  if (given(object, "from")) images.from = text_of(object, "from");
  const auto expect = [](const char* field, size_t wanted, size_t received) {
    if (received != 0 && received != wanted)
      throw Error(kShapeMismatch, std::string("Expected ") + std::to_string(wanted) + " values for " + field +
                                      " but received " + std::to_string(received));
  };
  expect("flip", images.shape.n, images.flip.size());
  expect("shift", images.shape.n * images.shape.c, images.shift.size());
  return images;
}

std::map<std::string, float> rates_of(const Napi::Object& call) {
  std::map<std::string, float> rates;
  const Napi::Object object = object_of(call, "rates");
  const Napi::Array keys = object.GetPropertyNames();
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const std::string layer = keys.Get(i).ToString().Utf8Value();
    rates[layer] = static_cast<float>(number_of(object, layer.c_str()));
  }
  return rates;
}

}  // namespace

int64_t count_from(const Napi::Value& value, const std::string& name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= kLargestExact && number == std::floor(number)))
    refuse("a whole number from 0 up", name, value);
  return static_cast<int64_t>(number);
}

std::vector<std::string> names_from(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) refuse("an array of names", name, value);
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value entry = array.Get(i);
    if (!entry.IsString()) refuse("an array of names", name, entry);
    names.push_back(entry.As<Napi::String>().Utf8Value());
  }
  return names;
}

std::set<std::string> set_of(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

Napi::Float32Array floats_from(const Napi::Value& value, const std::string& name) {
  return array_from<Napi::Float32Array>(value, name, napi_float32_array, "a Float32Array");
}

Napi::Float64Array doubles_from(const Napi::Value& value, const std::string& name) {
  return array_from<Napi::Float64Array>(value, name, napi_float64_array, "a Float64Array");
}

Napi::Int32Array integers_from(const Napi::Value& value, const std::string& name) {
  return array_from<Napi::Int32Array>(value, name, napi_int32_array, "an Int32Array");
}

std::string text_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsString()) refuse("a string", field, value);
  return value.As<Napi::String>().Utf8Value();
}

bool truth_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsBoolean()) refuse("true or false", field, value);
  return value.As<Napi::Boolean>().Value();
}

double number_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsNumber() || !std::isfinite(value.As<Napi::Number>().DoubleValue())) refuse("a finite number", field, value);
  return value.As<Napi::Number>().DoubleValue();
}

int64_t count_of(const Napi::Object& object, const char* field) { return count_from(object.Get(field), field); }

std::vector<int64_t> sizes_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsArray()) refuse("an array of sizes", field, value);
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> sizes;
  for (uint32_t i = 0; i < array.Length(); ++i) sizes.push_back(count_from(array.Get(i), field));
  return sizes;
}

std::vector<std::string> names_of(const Napi::Object& object, const char* field) {
  return names_from(object.Get(field), field);
}

Napi::Object object_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsObject()) refuse("an object", field, value);
  return value.As<Napi::Object>();
}

Napi::Object object_of(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsObject()) throw Error(kInvalidArgument, "Expected one object with named fields");
  return info[0].As<Napi::Object>();
}

std::vector<float> floats_of(const Napi::Object& object, const char* field) {
  return copied(floats_from(object.Get(field), field));
}

DeviceOptions device_options(const Napi::Object& object) {
  DeviceOptions options;
  options.device = text_of(object, "device");
  options.threads = static_cast<int>(count_of(object, "threads"));
  if (given(object, "precision")) options.precision = precision_of(text_of(object, "precision"));
  options.deterministic = truth_of(object, "deterministic");
  return options;
}

ForwardCall forward_call(const Napi::Object& object, HostPool& pool) {
  ForwardCall call;
  call.images = images_of(object_of(object, "images"), pool);
  if (call.images.shape.n == 0) throw Error(kShapeMismatch, "Expected at least one image but received none");
  call.training = truth_of(object, "training");
  if (given(object, "keep")) call.keep = names_of(object, "keep");
  if (given(object, "onlyKept")) call.only_kept = truth_of(object, "onlyKept");
  if (given(object, "gradientsAt")) {
    call.differentiates = true;
    call.cotangents_at = set_of(names_of(object, "cotangentsAt"));
    call.gradients_at = set_of(names_of(object, "gradientsAt"));
  }
  if (given(object, "inputGradient")) call.wants_image_gradient = truth_of(object, "inputGradient");
  if (given(object, "firstImage")) call.first_image = count_of(object, "firstImage");
  return call;
}

BackwardCall backward_call(const Napi::Object& object) {
  BackwardCall call;
  if (given(object, "labels") == given(object, "gradient"))
    throw Error(kInvalidArgument, "Expected either labels or a gradient for backward");
  if (given(object, "labels")) call.labels = labels_of(object);
  if (given(object, "gradient")) call.gradient = host_tensor(object_of(object, "gradient"));
  if (given(object, "inject")) call.inject = host_tensors(object_of(object, "inject"));
  call.accumulate = truth_of(object, "accumulate");
  call.batch = count_of(object, "batch");
  return call;
}

VjpCall vjp_call(const Napi::Object& object) {
  return {host_tensors(object_of(object, "cotangents")), truth_of(object, "guided")};
}

UpdateCall update_call(const Napi::Object& object) {
  return {static_cast<float>(number_of(object, "learningRate")), static_cast<float>(number_of(object, "momentum")),
          static_cast<float>(number_of(object, "weightDecay")), rates_of(object)};
}

StepCall step_call(const Napi::Object& object, HostPool& pool) {
  return {images_of(object_of(object, "images"), pool), labels_of(object), count_of(object, "microBatch"),
          given(object, "stops") && truth_of(object, "stops"), given(object, "note") ? text_of(object, "note") : "",
          update_call(object)};
}

Role role_of(const std::string& kind) {
  if (kind == "parameter") return Role::parameter;
  if (kind == "gradient") return Role::gradient;
  if (kind == "velocity") return Role::velocity;
  throw Error(kInvalidArgument, "Expected parameter, gradient or velocity for kind but received '" + kind + "'");
}

Initialisation initialisation_of(const std::string& scheme) {
  if (scheme == "glorot") return Initialisation::glorot;
  if (scheme == "he") return Initialisation::he;
  if (scheme == "paper") return Initialisation::paper;
  throw Error(kInvalidArgument, "Expected glorot, he or paper for scheme but received '" + scheme + "'");
}

}  // namespace vggnet::addon
