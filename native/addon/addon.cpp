// The module's table.
#include <napi.h>

#include "addon/cuda.hpp"
#include "addon/describe.hpp"
#include "addon/environment.hpp"
#include "addon/file_lock.hpp"
#include "addon/group.hpp"
#include "addon/network_object.hpp"
#include "addon/image.hpp"
#include "addon/loss.hpp"
#include "addon/tuning.hpp"
#include "image/jpeg.hpp"

namespace vggnet::addon {

Napi::Value make_error(Napi::Env env, const char* code, std::string_view message) {
  const auto* environment = env.GetInstanceData<Environment>();
  const napi_value given[] = {Napi::String::New(env, code), Napi::String::New(env, message.data(), message.size())};
  napi_value error = nullptr;
  // not New of the class, which allocates a vector
  const napi_status status = environment->error_class.IsEmpty()
                                 ? napi_create_error(env, given[0], given[1], &error)
                                 : napi_new_instance(env, environment->error_class.Value(), 2, given, &error);
  if (status != napi_ok) throw Napi::Error::New(env);
  return {env, error};
}

Failure failure_of(const std::exception& error) noexcept {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return {kOutOfMemory, {}};
  const auto* own = dynamic_cast<const Error*>(&error);
  try {
    return {own ? own->code() : kInternal, error.what()};
  } catch (const std::bad_alloc&) {
    return {kOutOfMemory, {}};
  }
}

namespace {

void set_error_class(const Napi::CallbackInfo& info) {
  info.Env().GetInstanceData<Environment>()->error_class = Napi::Persistent(info[0].As<Napi::Function>());
}

Napi::Value build_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto backend = open_backend({"cpu", 0}).backend;
    Napi::Object result = Napi::Object::New(env);
    result.Set("buildId", VGGNET_BUILD_ID);
    result.Set("oneDnn", backend->library());
    result.Set("libjpegTurbo", jpeg_library());
    result.Set("isa", backend->instruction_set());
    result.Set("threads", backend->threads());
    result.Set("compiler", "g++ " __VERSION__);
#ifdef VGGNET_DEBUG
    result.Set("debug", true);
#else
    result.Set("debug", false);
#endif
    return result;
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment;
  env.SetInstanceData(environment);
  const Napi::Function network = NetworkObject::define(env);
  environment->network_class = Napi::Persistent(network);
  exports.Set("Network", network);
  exports.Set("describe", Napi::Function::New(env, describe));
  exports.Set("decodeJpeg", Napi::Function::New(env, decode_jpeg));
  exports.Set("rescale", Napi::Function::New(env, rescale));
  exports.Set("squaredError", Napi::Function::New(env, squared_error));
  exports.Set("gramMatrices", Napi::Function::New(env, gram_matrices));
  exports.Set("gramError", Napi::Function::New(env, gram_error));
  exports.Set("lpipsError", Napi::Function::New(env, lpips_error));
  exports.Set("totalVariation", Napi::Function::New(env, total_variation));
  exports.Set("rowProducts", Napi::Function::New(env, row_products));
  exports.Set("columnProducts", Napi::Function::New(env, column_products));
  exports.Set("lockFile", Napi::Function::New(env, lock_file));
  exports.Set("openGroup", Napi::Function::New(env, open_group));
  exports.Set("gatherGroup", Napi::Function::New(env, gather_group));
  exports.Set("sumGroup", Napi::Function::New(env, sum_group));
  exports.Set("failGroup", Napi::Function::New(env, fail_group));
  exports.Set("groupTraffic", Napi::Function::New(env, group_traffic));
  exports.Set("closeGroup", Napi::Function::New(env, close_group));
  exports.Set("quit", Napi::Function::New(env, quit));
  exports.Set("buildInfo", Napi::Function::New(env, build_info));
  exports.Set("setErrorClass", Napi::Function::New(env, set_error_class));
  exports.Set("setCudaLocations", Napi::Function::New(env, set_cuda_locations));
  exports.Set("findCudaFiles", Napi::Function::New(env, find_cuda_files));
  exports.Set("cudaReport", Napi::Function::New(env, cuda_report));
  exports.Set("cpuTuning", Napi::Function::New(env, cpu_tuning));
  exports.Set("setCpuTuning", Napi::Function::New(env, set_cpu_tuning));
  return exports;
}

NODE_API_MODULE(vggnet, initialise)

}  // namespace
}  // namespace vggnet::addon
