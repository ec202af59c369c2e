// Plain values to JavaScript.
#include <cstring>

#include "addon/convert.hpp"

namespace vggnet::addon {

Napi::Array to_js(Napi::Env env, const std::vector<int64_t>& sizes) {
  Napi::Array array = Napi::Array::New(env, sizes.size());
  for (uint32_t i = 0; i < sizes.size(); ++i) array.Set(i, static_cast<double>(sizes[i]));
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

Napi::Object to_js(Napi::Env env, const LossAnswer& answer) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("loss", answer.loss);
  object.Set("correct", static_cast<double>(answer.correct));
  object.Set("correct5", static_cast<double>(answer.correct5));
  return object;
}

Napi::Array to_js(Napi::Env env, const std::vector<StageTime>& times) {
  Napi::Array array = Napi::Array::New(env, times.size());
  for (uint32_t i = 0; i < times.size(); ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", times[i].name);
    row.Set("forwardMs", times[i].forward_ms);
    row.Set("backwardMs", times[i].backward_ms);
    row.Set("multiplyAdds", static_cast<double>(times[i].multiply_adds));
    array.Set(i, row);
  }
  return array;
}

Napi::Array to_js(Napi::Env env, const std::vector<QueueTime>& times) {
  Napi::Array array = Napi::Array::New(env, times.size());
  for (uint32_t i = 0; i < times.size(); ++i) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("beginUs", times[i].begin_us);
    row.Set("emptyUs", times[i].empty_us);
    array.Set(i, row);
  }
  return array;
}

Napi::Array to_js(Napi::Env env, const std::vector<ParameterEntry>& entries) {
  Napi::Array array = Napi::Array::New(env, entries.size());
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const Parameter& parameter = entries[i].parameter;
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", parameter.name);
    row.Set("layer", parameter.layer);
    row.Set("role", parameter.is_weight ? "weight" : "bias");
    row.Set("shape", to_js(env, parameter.dimensions()));
    row.Set("count", static_cast<double>(parameter.count()));
    row.Set("fanIn", static_cast<double>(parameter.fan_in()));
    row.Set("fanOut", static_cast<double>(parameter.fan_out()));
    array.Set(i, row);
  }
  return array;
}

}  // namespace vggnet::addon
