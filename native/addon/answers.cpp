// Plain values to JavaScript.
#include <cstring>

#include "addon/convert.hpp"

namespace vggnet::addon {
namespace {

// An array with an object for each value, which fill(object, value) fills.
template <class Value, class Fill>
Napi::Array rows_of(Napi::Env env, const std::vector<Value>& values, const Fill& fill) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) {
    Napi::Object row = Napi::Object::New(env);
    fill(row, values[i]);
    array.Set(i, row);
  }
  return array;
}

Napi::Object by_name(Napi::Env env, const std::map<std::string, HostTensor>& tensors) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, tensor] : tensors) object.Set(name, to_js(env, tensor));
  return object;
}

}  // namespace

Napi::Array to_js(Napi::Env env, const std::vector<int64_t>& sizes) {
  Napi::Array array = Napi::Array::New(env, sizes.size());
  for (uint32_t i = 0; i < sizes.size(); ++i) array.Set(i, static_cast<double>(sizes[i]));
  return array;
}

Napi::Array to_js(Napi::Env env, const std::vector<std::string>& texts) {
  Napi::Array array = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); ++i) array.Set(i, texts[i]);
  return array;
}

Napi::Object to_js(Napi::Env env, const HostTensor& tensor) {
  Napi::Object object = Napi::Object::New(env);
  auto data = Napi::Float32Array::New(env, tensor.values.size());
  if (!tensor.values.empty()) std::memcpy(data.Data(), tensor.values.data(), tensor.values.size() * sizeof(float));
  object.Set("data", data);
  object.Set("shape", to_js(env, tensor.dimensions));
  return object;
}

Napi::Object to_js(Napi::Env env, const ForwardAnswer& answer) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("output", to_js(env, answer.output));
  object.Set("kept", by_name(env, answer.kept));
  return object;
}

Napi::Object to_js(Napi::Env env, const LossAnswer& answer) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("loss", answer.loss);
  object.Set("correct", static_cast<double>(answer.correct));
  object.Set("correct5", static_cast<double>(answer.correct5));
  return object;
}

Napi::Object to_js(Napi::Env env, const StepAnswer& answer) {
  Napi::Object object = to_js(env, answer.loss);
  object.Set("images", static_cast<double>(answer.images));
  object.Set("stops", answer.stops);
  object.Set("notes", to_js(env, answer.notes));
  return object;
}

Napi::Object to_js(Napi::Env env, const BackwardAnswer& answer) {
  Napi::Object object = to_js(env, answer.loss);
  if (!answer.image_gradient.values.empty()) object.Set("inputGradient", to_js(env, answer.image_gradient));
  return object;
}

Napi::Object to_js(Napi::Env env, const VjpAnswer& answer) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("gradients", by_name(env, answer.gradients));
  if (!answer.image_gradient.values.empty()) object.Set("inputGradient", to_js(env, answer.image_gradient));
  return object;
}

Napi::Array to_js(Napi::Env env, const std::vector<StageTime>& times) {
  return rows_of(env, times, [](Napi::Object row, const StageTime& time) {
    row.Set("name", time.name);
    row.Set("forwardMs", time.forward_ms);
    row.Set("backwardMs", time.backward_ms);
    row.Set("multiplyAdds", static_cast<double>(time.multiply_adds));
  });
}

Napi::Array to_js(Napi::Env env, const std::vector<QueueTime>& times) {
  return rows_of(env, times, [](Napi::Object row, const QueueTime& time) {
    row.Set("beginUs", time.begin_us);
    row.Set("emptyUs", time.empty_us);
  });
}

Napi::Array to_js(Napi::Env env, const std::vector<ParameterEntry>& entries) {
  return rows_of(env, entries, [env](Napi::Object row, const ParameterEntry& entry) {
    const Parameter& parameter = entry.parameter;
    row.Set("name", parameter.name);
    row.Set("layer", parameter.layer);
    row.Set("role", parameter.is_weight ? "weight" : "bias");
    row.Set("shape", to_js(env, parameter.dimensions()));
    row.Set("count", static_cast<double>(parameter.count()));
    row.Set("fanIn", static_cast<double>(parameter.fan_in()));
    row.Set("fanOut", static_cast<double>(parameter.fan_out()));
  });
}

}  // namespace vggnet::addon
