#include "addon/describe.hpp"

#include "addon/convert.hpp"
#include "addon/environment.hpp"
#include "backend/open.hpp"
#include "network/execution.hpp"

namespace vggnet::addon {
namespace {

// The part of a row that does not depend on the device.
Napi::Object layer_row(Napi::Env env, const Layer& layer, const Shape& input) {
  int64_t parameters = 0;
  for (const Parameter& parameter : parameters_of(layer, input.c)) parameters += parameter.count();
  const auto sizes = [&](const Shape& s) { return to_js(env, std::vector<int64_t>{s.n, s.c, s.h, s.w}); };
  Napi::Object row = Napi::Object::New(env);
  row.Set("name", name_of(layer));
  row.Set("kind", kind_of(layer));
  row.Set("input", sizes(input));
  row.Set("output", sizes(output_shape(layer, input)));
  row.Set("multiplyAdds", static_cast<double>(multiply_adds(layer, input)));
  row.Set("parameters", static_cast<double>(parameters));
  return row;
}

Napi::Array layer_rows(Napi::Env env, const std::vector<Layer>& layers, Shape shape) {
  Napi::Array rows = Napi::Array::New(env);
  for (uint32_t i = 0; i < layers.size(); ++i) {
    rows.Set(i, layer_row(env, layers[i], shape));
    shape = output_shape(layers[i], shape);
  }
  return rows;
}

Napi::Object stage_row(Napi::Env env, const PlannedStage& planned, const Requirements& needs) {
  int64_t saved = 0;
  for (const Saved& kept : needs.saved) saved += kept.bytes;
  Napi::Object row = layer_row(env, planned.layer, planned.input_shape);
  row.Set("workspaceBytes", static_cast<double>(needs.workspace_bytes));
  row.Set("savedBytes", static_cast<double>(saved));
  row.Set("algorithm", needs.algorithm);
  return row;
}

Napi::Object tensor_row(Napi::Env env, const Lifetime& life) {
  Napi::Object row = Napi::Object::New(env);
  row.Set("name", life.name);
  row.Set("bytes", static_cast<double>(life.bytes));
  row.Set("offset", static_cast<double>(life.offset));
  row.Set("firstUse", life.first);
  row.Set("lastUse", life.last);
  return row;
}

}  // namespace

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object given = object_of(info);
    const auto layers = layers_of(given, "layers");
    check_layers(layers);
    const auto sizes = sizes_of(given, "shape");
    if (sizes.size() != 4) throw Error(kShapeMismatch, "Expected n, c, h, w for shape");
    PlanOptions options;
    options.training = truth_of(given, "training");
    options.exact = truth_of(given, "exact");
    options.keep = names_of(given, "keep");
    options.images = DType::uint8;

    const auto backend = open_planner(device_options(given));
    const Parameters parameters(*backend, layers);
    const Shape images{sizes[0], sizes[1], sizes[2], sizes[3]};
    const Execution execution(*backend, make_plan(layers, images, options));
    const Plan& plan = execution.plan();

    Napi::Object result = Napi::Object::New(env);
    Napi::Array stages = Napi::Array::New(env), tensors = Napi::Array::New(env);
    int64_t operations = 0;
    for (size_t i = 0; i < plan.stages.size(); ++i) {
      stages.Set(static_cast<uint32_t>(i), stage_row(env, plan.stages[i], execution.stage(i).requirements()));
      operations += multiply_adds(plan.stages[i].layer, plan.stages[i].input_shape);
    }
    for (size_t i = 0; i < execution.lifetimes().size(); ++i)
      tensors.Set(static_cast<uint32_t>(i), tensor_row(env, execution.lifetimes()[i]));
    const int64_t weights = parameters.arena_bytes(Role::parameter);
    const int64_t optimizer =
        options.training ? parameters.arena_bytes(Role::gradient) + parameters.arena_bytes(Role::velocity) : 0;
    const auto set = [&](const char* name, int64_t value) { result.Set(name, static_cast<double>(value)); };
    result.Set("parameters", to_js(env, parameters.entries()));
    result.Set("layers", layer_rows(env, layers, images));
    result.Set("stages", stages);
    result.Set("tensors", tensors);
    result.Set("device", backend->name());
    result.Set("precision", name_of(backend->precision()));
    set("parameterCount", parameters.logical_count());
    set("parameterBytes", weights);
    set("optimizerBytes", optimizer);
    set("arenaBytes", execution.arena_bytes());
    set("workspaceBytes", execution.workspace_bytes());
    set("largestBatch", execution.largest_batch());
    set("totalBytes", weights + optimizer + execution.arena_bytes());
    set("multiplyAdds", operations);
    return result;
  });
}

}  // namespace vggnet::addon
