#pragma once
// JavaScript values to and from plain ones. Every complaint names its field. Data is copied, but for arrays.
#include <napi.h>

#include <map>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "network/calls.hpp"
#include "network/parameters.hpp"
#include "network/plan.hpp"
#include "network/queue_clock.hpp"

namespace vggnet::addon {

// A value, which a complaint calls `name`. Throws INVALID_ARGUMENT when it is missing or of another type.
int64_t count_from(const Napi::Value&, const std::string& name);  // an integer from 0 up
std::set<std::string> set_of(const std::vector<std::string>& names);
std::vector<std::string> names_from(const Napi::Value&, const std::string& name);
Napi::Float32Array floats_from(const Napi::Value&, const std::string& name);
Napi::Float64Array doubles_from(const Napi::Value&, const std::string& name);
Napi::Int32Array integers_from(const Napi::Value&, const std::string& name);

// A field of an options object; throws INVALID_ARGUMENT when it is missing or of another type.
std::string text_of(const Napi::Object&, const char* field);
bool truth_of(const Napi::Object&, const char* field);
double number_of(const Napi::Object&, const char* field);
int64_t count_of(const Napi::Object&, const char* field);
std::vector<int64_t> sizes_of(const Napi::Object&, const char* field);
std::vector<std::string> names_of(const Napi::Object&, const char* field);
Napi::Object object_of(const Napi::Object&, const char* field);
Napi::Object object_of(const Napi::CallbackInfo&);  // the only argument

std::vector<Layer> layers_of(const Napi::Object&, const char* field);
DeviceOptions device_options(const Napi::Object&);
ForwardCall forward_call(const Napi::Object&, HostPool&);
BackwardCall backward_call(const Napi::Object&);
VjpCall vjp_call(const Napi::Object&);
UpdateCall update_call(const Napi::Object&);
StepCall step_call(const Napi::Object&, HostPool&);
std::vector<float> floats_of(const Napi::Object&, const char* field);
Role role_of(const std::string& kind);
Initialisation initialisation_of(const std::string& scheme);

Napi::Object to_js(Napi::Env, const HostTensor&);
Napi::Object to_js(Napi::Env, const ForwardAnswer&);
Napi::Object to_js(Napi::Env, const BackwardAnswer&);
Napi::Object to_js(Napi::Env, const VjpAnswer&);
Napi::Object to_js(Napi::Env, const LossAnswer&);
Napi::Object to_js(Napi::Env, const StepAnswer&);
Napi::Array to_js(Napi::Env, const std::vector<int64_t>&);
Napi::Array to_js(Napi::Env, const std::vector<std::string>&);
Napi::Array to_js(Napi::Env, const std::vector<StageTime>&);
Napi::Array to_js(Napi::Env, const std::vector<QueueTime>&);
Napi::Array to_js(Napi::Env, const std::vector<ParameterEntry>&);

}  // namespace vggnet::addon
