#pragma once
// Work on a thread of libuv's pool that settles a promise.
#include <napi.h>

#include "addon/environment.hpp"

namespace vggnet::addon {

// Deletes itself when the promise is settled.
class PoolWork : public Napi::AsyncWorker {
 public:
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  explicit PoolWork(Napi::Env env) : AsyncWorker(env), deferred_(env) {}

  virtual void compute() = 0;  // on the thread; what it throws rejects the promise
  virtual void resolve() = 0;  // on JavaScript's thread, after compute; settles `deferred_`

  Napi::Promise::Deferred deferred_;

 private:
  void Execute() override {
    try {
      compute();
    } catch (const std::exception& error) {
      failure_ = failure_of(error);
      SetError("failed");  // short: it is not allocated
    }
  }

  void OnOK() override {
    settle([&] { resolve(); });
  }
  void OnError(const Napi::Error&) override {
    settle([&] { deferred_.Reject(make_error(Env(), failure_.code, failure_.message())); });
  }

  // In a worker thread that is being terminated, a promise cannot be settled.
  template <class Body>
  static void settle(Body body) {
    try {
      body();
    } catch (const Napi::Error&) {
    }
  }

  Failure failure_;
};

}  // namespace vggnet::addon
