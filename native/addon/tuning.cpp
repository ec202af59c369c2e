#include "addon/tuning.hpp"

#include "addon/convert.hpp"
#include "addon/environment.hpp"
#include "backend/cpu_tuning.hpp"

namespace vggnet::addon {

Napi::Value cpu_tuning(const Napi::CallbackInfo& info) {
  const cpu::Tuning tuning = cpu::tuning();
  Napi::Object row = Napi::Object::New(info.Env());
  row.Set("ownBlock", static_cast<double>(tuning.own_block));
  row.Set("sharedBlock", static_cast<double>(tuning.shared_block));
  row.Set("gradientBlock", tuning.gradient_block);
  return row;
}

Napi::Value set_cpu_tuning(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object given = object_of(info);
    cpu::set_tuning({static_cast<int64_t>(number_of(given, "ownBlock")),
                     static_cast<int64_t>(number_of(given, "sharedBlock")), number_of(given, "gradientBlock")});
    return info.Env().Undefined();
  });
}

}  // namespace vggnet::addon
