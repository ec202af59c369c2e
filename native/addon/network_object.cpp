#include "addon/network_object.hpp"

#include <span>

#include "addon/computation.hpp"
#include "addon/convert.hpp"
#include "addon/environment.hpp"
#include "backend/open.hpp"
#include "group/mpi.hpp"

namespace vggnet::addon {
template <class Compute, class Convert>
Napi::Value NetworkObject::post(Napi::Env env, Compute compute, Convert convert, std::function<void()> begin_ahead) {
  using Computed = Computation<Compute>;
  // std::function copies its target, and a call's data is large: all copies share one
  const auto shared = std::make_shared<Computed>(Computed{std::move(compute), {}});
  const auto pending = wait(env);
  const Napi::Value promise = pending->deferred.Promise();
  const auto work = [this, shared] {
    shared->run();
    if (!network_) return;
    held_bytes_ = network_->held_bytes();
    training_step_ = network_->training_step();
  };
  const auto settled = [this, pending, shared, convert](Napi::Env env) {
    const Waiting settled = taken(pending);
    report_memory(env);
    const auto reject = [&](const Failure& failure) {
      pending->deferred.Reject(make_error(env, failure.code, failure.message()));
    };
    if (const auto* failure = std::get_if<Failure>(&shared->outcome)) return reject(*failure);
    Napi::Value answer;
    try {
      answer = convert(env, std::get<typename Computed::Answer>(shared->outcome));
    } catch (const std::bad_alloc& error) {
      return reject(failure_of(error));
    }
    pending->deferred.Resolve(answer);
  };
  const auto refused = [this, pending](Napi::Env env) {
    const Waiting settled = taken(pending);
    pending->deferred.Reject(make_error(env, kDisposed, "the network was disposed before this call began: await its calls before dispose()"));
  };
  try {
    worker_->post(work, settled, refused, std::move(begin_ahead));
  } catch (...) {
    taken(pending).front().deferred.Resolve(env.Undefined());  // nobody has the promise
    throw;
  }
  return promise;
}

template <class Compute, class Convert>
Napi::Value NetworkObject::call(Napi::Env env, Compute compute, Convert convert, std::function<void()> begin_ahead) {
  check_alive();
  auto run = [this, compute = std::move(compute)]() mutable {
    if (!network_) throw Error(kState, "this network could not be created");
    return compute(*network_);
  };
  return post(env, std::move(run), convert, std::move(begin_ahead));
}

template <class Compute>
Napi::Value NetworkObject::call(Napi::Env env, Compute compute) {
  return call(
      env,
      [compute = std::move(compute)](Network& network) mutable {
        compute(network);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

Napi::Function NetworkObject::define(Napi::Env env) {
  return DefineClass(env, "Network",
                     {StaticMethod<&NetworkObject::create>("create"),
                      InstanceMethod<&NetworkObject::initialise>("initialise"),
                      InstanceMethod<&NetworkObject::forward>("forward"),
                      InstanceMethod<&NetworkObject::backward>("backward"),
                      InstanceMethod<&NetworkObject::vjp>("vjp"),
                      InstanceMethod<&NetworkObject::update>("update"),
                      InstanceMethod<&NetworkObject::step>("step"),
                      InstanceMethod<&NetworkObject::read>("read"),
                      InstanceMethod<&NetworkObject::write>("write"),
                      InstanceMethod<&NetworkObject::freeze>("freeze"),
                      InstanceMethod<&NetworkObject::check_same_parameters>("checkSameParameters"),
                      InstanceMethod<&NetworkObject::profile>("profile"),
                      InstanceMethod<&NetworkObject::queue_times>("queueTimes"),
                      InstanceMethod<&NetworkObject::training_step>("trainingStep"),
                      InstanceMethod<&NetworkObject::set_training_step>("setTrainingStep"),
                      InstanceMethod<&NetworkObject::dispose>("dispose")});
}

NetworkObject::NetworkObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NetworkObject>(info) {
  guarded(info.Env(), [&] {
    worker_ = std::make_unique<Worker>(info.Env());
    return Napi::Value();
  });
}

NetworkObject::~NetworkObject() {
  disposed_ = true;
  if (worker_ && !worker_->exiting()) report_memory(Env());
  worker_ = nullptr;
}

Napi::Value NetworkObject::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object given = object_of(info);
    auto layers = layers_of(given, "layers");
    DeviceOptions device = device_options(given);
    NetworkOptions options;
    options.seed = static_cast<uint64_t>(count_of(given, "seed"));
    options.exact = truth_of(given, "exact");
    options.memory_limit = count_of(given, "memoryLimit");
    if (truth_of(given, "group")) options.group = &MpiGroup::opened();

    const Napi::Object object = env.GetInstanceData<Environment>()->network_class.New({});
    NetworkObject* self = Unwrap(object);
    self->deterministic_ = device.deterministic;
    device.ending = options.ending = &self->worker_->ending();
    auto make = [self, layers = std::move(layers), device, options] {
      OpenedBackend opened = open_backend(device);
      self->device_reason_ = opened.reason;
      if (options.group && !opened.backend->card_name().empty())
        throw Error(kDeviceUnavailable, "the ranks of a group compute on CPUs in this version: device 'cpu'");
      auto network = std::make_unique<Network>(layers, std::move(opened.backend), options);
      network->parameters().arena(Role::parameter);  // memory is claimed, or refused, here
      network->set_meanwhile([self] { self->worker_->meanwhile(); });
      self->network_ = std::move(network);
      return true;
    };
    return self->post(env, std::move(make), [self](Napi::Env env, bool) {
      self->publish(env);
      return self->Value();
    });
  });
}

// Facts that stay as they are while the network lives; the worker has nothing to do yet.
void NetworkObject::publish(Napi::Env env) {
  host_pool_ = network_->host_pool();
  Value().Set("device", network_->device());
  Value().Set("deviceReason", device_reason_);
  Value().Set("precision", name_of(network_->precision()));
  Value().Set("deterministic", deterministic_);
  Value().Set("threads", network_->threads());
  Value().Set("parameters", to_js(env, network_->parameters().entries()));
}

NetworkObject::Waiting NetworkObject::taken(Waiting::iterator pending) {
  Waiting settled;
  settled.splice(settled.begin(), waiting_, pending);
  return settled;
}

HostPool& NetworkObject::pool() const {
  check_alive();
  return *host_pool_;
}

void NetworkObject::check_alive() const {
  if (disposed_) throw Error(kDisposed, "this network was disposed and cannot be used any more");
}

void NetworkObject::report_memory(Napi::Env env) {
  const int64_t held = disposed_ ? 0 : held_bytes_.load();
  if (held != reported_bytes_) Napi::MemoryManagement::AdjustExternalMemory(env, held - reported_bytes_);
  reported_bytes_ = held;
}

Napi::Value NetworkObject::initialise(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    const auto scheme = initialisation_of(text_of(given, "scheme"));
    return call(info.Env(), [scheme, seed = static_cast<uint64_t>(count_of(given, "seed")), layers = set_of(names_of(given, "layers"))](Network& network) {
      network.parameters().initialise(scheme, seed, layers);
    });
  });
}

Napi::Value NetworkObject::forward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto asked = std::make_shared<const ForwardCall>(forward_call(object_of(info), pool()));
    return call(
        info.Env(), [asked](Network& network) { return network.forward(*asked); },
        [](Napi::Env env, const ForwardAnswer& answer) { return to_js(env, answer); },
        [this, asked] { network_->begin_ahead(*asked); });
  });
}

Napi::Value NetworkObject::backward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(
        info.Env(), [asked = backward_call(object_of(info))](Network& network) { return network.backward(asked); },
        [](Napi::Env env, const BackwardAnswer& answer) { return to_js(env, answer); });
  });
}

Napi::Value NetworkObject::vjp(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(
        info.Env(), [asked = vjp_call(object_of(info))](Network& network) { return network.vjp(asked); },
        [](Napi::Env env, const VjpAnswer& answer) { return to_js(env, answer); });
  });
}

Napi::Value NetworkObject::update(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(info.Env(), [asked = update_call(object_of(info))](Network& network) { network.update(asked); });
  });
}

Napi::Value NetworkObject::step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto asked = std::make_shared<const StepCall>(step_call(object_of(info), pool()));
    return call(
        info.Env(), [asked](Network& network) { return network.step(*asked); },
        [](Napi::Env env, const StepAnswer& answer) { return to_js(env, answer); },
        [this, asked] { network_->begin_ahead(*asked); });
  });
}

Napi::Value NetworkObject::read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Role role = role_of(info[0].ToString().Utf8Value());
    return call(
        info.Env(),
        [role, name = info[1].ToString().Utf8Value()](Network& network) { return network.read(role, name); },
        [](Napi::Env env, const HostTensor& tensor) { return to_js(env, tensor); });
  });
}

Napi::Value NetworkObject::write(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Role role = role_of(info[0].ToString().Utf8Value());
    const Napi::Float32Array array = floats_from(info[3], "data");
    const Napi::Value promise = call(info.Env(), [role, name = info[1].ToString().Utf8Value(), first = count_from(info[2], "first output"),
                                                  data = std::span(array.Data(), array.ElementLength())](Network& network) {
      network.parameters().write(role, name, first, data);
    });
    waiting_.back().array = Napi::Persistent(array.As<Napi::Object>());
    return promise;
  });
}

Napi::Value NetworkObject::freeze(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(info.Env(), [layers = set_of(names_from(info[0], "layers"))](Network& network) mutable {
      network.freeze(std::move(layers));
    });
  });
}

Napi::Value NetworkObject::check_same_parameters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return call(info.Env(), [](Network& network) { network.check_same_parameters(); }); });
}

Napi::Value NetworkObject::profile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(
        info.Env(), [asked = forward_call(object_of(info), pool())](Network& network) { return network.profile(asked); },
        [](Napi::Env env, const std::vector<StageTime>& times) { return to_js(env, times); });
  });
}

Napi::Value NetworkObject::queue_times(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(
        info.Env(), [](Network& network) { return network.take_queue_times(); },
        [](Napi::Env env, const std::vector<QueueTime>& times) { return to_js(env, times); });
  });
}

Napi::Value NetworkObject::training_step(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(training_step_.load()));
}

Napi::Value NetworkObject::set_training_step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return call(info.Env(), [step = count_from(info[0], "step")](Network& network) { network.set_training_step(static_cast<uint64_t>(step)); });
  });
}

void NetworkObject::dispose(const Napi::CallbackInfo& info) {
  if (disposed_) return;
  disposed_ = true;
  report_memory(info.Env());
  worker_->stop([this] { network_ = nullptr; });
}

}  // namespace vggnet::addon
