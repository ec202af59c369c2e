#pragma once
// The JavaScript class under lib/network/network.ts: reads arguments, hands calls to the worker, returns promises.
#include <napi.h>

#include <atomic>
#include <list>
#include <memory>
#include <string>

#include "addon/worker.hpp"
#include "network/network.hpp"

namespace vggnet::addon {

class NetworkObject : public Napi::ObjectWrap<NetworkObject> {
 public:
  static Napi::Function define(Napi::Env);
  explicit NetworkObject(const Napi::CallbackInfo&);
  ~NetworkObject() override;

 private:
  // A promise and what keeps its network, and an array that the call reads, alive. Used on the JavaScript thread only.
  struct Pending {
    Napi::Promise::Deferred deferred;
    Napi::ObjectReference self, array;
  };
  using Waiting = std::list<Pending>;

  static Napi::Value create(const Napi::CallbackInfo&);
  Napi::Value initialise(const Napi::CallbackInfo&);
  Napi::Value forward(const Napi::CallbackInfo&);
  Napi::Value backward(const Napi::CallbackInfo&);
  Napi::Value vjp(const Napi::CallbackInfo&);
  Napi::Value update(const Napi::CallbackInfo&);
  Napi::Value step(const Napi::CallbackInfo&);
  Napi::Value read(const Napi::CallbackInfo&);
  Napi::Value write(const Napi::CallbackInfo&);
  Napi::Value freeze(const Napi::CallbackInfo&);
  Napi::Value check_same_parameters(const Napi::CallbackInfo&);
  Napi::Value profile(const Napi::CallbackInfo&);
  Napi::Value queue_times(const Napi::CallbackInfo&);
  Napi::Value training_step(const Napi::CallbackInfo&);
  Napi::Value set_training_step(const Napi::CallbackInfo&);
  void dispose(const Napi::CallbackInfo&);

  // Queues compute() on the worker's thread. The promise resolves with convert(env, answer).
  template <class Compute, class Convert>
  Napi::Value post(Napi::Env, Compute, Convert, std::function<void()> begin_ahead = nullptr);
  // Queues compute(network) and resolves with convert(env, answer).
  template <class Compute, class Convert>
  Napi::Value call(Napi::Env, Compute, Convert, std::function<void()> begin_ahead = nullptr);
  template <class Compute>
  Napi::Value call(Napi::Env, Compute);  // resolves with undefined
  Waiting::iterator wait(Napi::Env env) {
    return waiting_.insert(waiting_.end(), {Napi::Promise::Deferred::New(env), Napi::Persistent(Value()), {}});
  }
  Waiting taken(Waiting::iterator);  // with them goes what keeps the network alive
  void check_alive() const;
  HostPool& pool() const;  // DISPOSED
  void publish(Napi::Env);
  void report_memory(Napi::Env);

  std::unique_ptr<Network> network_;  // used on the worker's thread only
  std::shared_ptr<HostPool> host_pool_;  // while the network is not disposed
  std::string device_reason_;
  bool deterministic_ = false;
  std::atomic<int64_t> held_bytes_ = 0;
  std::atomic<uint64_t> training_step_ = 0;
  int64_t reported_bytes_ = 0;
  bool disposed_ = false;
  Waiting waiting_;  // in a thread that is terminated their calls settle nothing
  std::unique_ptr<Worker> worker_;  // last: ends before the network goes
};

}  // namespace vggnet::addon
