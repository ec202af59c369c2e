#include "addon/worker.hpp"

#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "tensor/error.hpp"

namespace vggnet::addon {
namespace {

// A thread that sleeps is back 60 to 120 us later; one that spins is there at once, but takes a processor. So the end of a
// call is awaited without sleep about when it is expected, as long after the call before it.
constexpr std::chrono::milliseconds kAwake{2};
constexpr std::chrono::microseconds kNap{50};

}  // namespace

// The workers of a JavaScript thread. exit(), which process.exit comes to, runs no cleanup hooks; it destroys what is local
// to its thread, then what the libraries keep in static memory, with which a call may be computing.
struct Worker::OfThread {
  std::set<Worker*> all;
  ~OfThread() {
    for (Worker* worker : all) at_exit(worker);
  }
};

Worker::OfThread& Worker::of_this_thread() {
  thread_local OfThread workers;
  return workers;
}

Worker::Worker(Napi::Env env) : env_(env) {
  const auto call_settle = [](napi_env env, napi_value, void* context, void* data) {
    std::unique_ptr<Settle> settle(static_cast<Settle*>(data));
    if (!env) return;  // the environment is closing
    auto* worker = static_cast<Worker*>(context);
    if (--worker->unsettled_ == 0) napi_unref_threadsafe_function(env, worker->settle_);
    Napi::HandleScope scope(env);
    try {
      (*settle)(env);
    } catch (const Napi::Error&) {  // in a worker thread that is being terminated nothing can be settled, and nothing waits for it
    }
  };
  napi_value name = Napi::String::New(env, "vggnet network");
  auto& all = of_this_thread().all;
  all.insert(this);
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                                             call_settle, &settle_);
  if (status != napi_ok) {
    all.erase(this);
    throw Napi::Error::New(env, "could not make a thread-safe function");
  }
  napi_unref_threadsafe_function(env, settle_);
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::exception& error) {
    all.erase(this);
    napi_release_threadsafe_function(settle_, napi_tsfn_release);
    if (dynamic_cast<const std::bad_alloc*>(&error)) throw;
    throw Error(kOutOfMemory, std::string("the system gives no thread for another network: ") + error.what());
  }
  // After the function above: hooks run in reverse order, so the thread has ended before the function goes.
  napi_add_env_cleanup_hook(env, at_exit, this);
}

Worker::~Worker() {
  of_this_thread().all.erase(this);
  napi_remove_env_cleanup_hook(env_, at_exit, this);
  end_thread();
  if (!exiting_) napi_release_threadsafe_function(settle_, napi_tsfn_release);
}

void Worker::at_exit(void* data) {
  auto* worker = static_cast<Worker*>(data);
  worker->exiting_ = worker->ending_ = true;
  worker->end_thread();
}

void Worker::end_thread() {
  stop([] {});
  if (thread_.joinable()) thread_.join();
}

void Worker::post(Work work, Settle settled, Settle refused, std::function<void()> begin_ahead) {
  std::list<Call> call;
  call.push_back({std::move(work), std::make_unique<Settle>(std::move(settled)), std::make_unique<Settle>(std::move(refused)),
                  std::move(begin_ahead)});
  if (unsettled_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  {
    std::lock_guard lock(mutex_);
    calls_.splice(calls_.end(), call);
    may_begin_ = calls_.front().begin_ahead != nullptr;
  }
  wake_.notify_one();
}

void Worker::meanwhile() {
  if (may_begin_) {
    std::unique_lock lock(mutex_);
    may_begin_ = false;
    const auto begin_ahead = std::exchange(calls_.front().begin_ahead, nullptr);
    lock.unlock();
    return begin_ahead();
  }
  if (std::chrono::abs(Clock::now() - began_ - expected_) < kAwake) return std::this_thread::yield();
  std::unique_lock lock(mutex_);
  if (!may_begin_) wake_.wait_for(lock, kNap);
}

void Worker::stop(std::function<void()> last) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    last_ = std::move(last);
  }
  wake_.notify_one();
}

void Worker::settle(std::unique_ptr<Settle> settle) {
  const napi_status status = napi_call_threadsafe_function(settle_, settle.get(), napi_tsfn_blocking);
  if (status == napi_ok) settle.release();  // else it is closing
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // Not wait: that of g++ 12 and later asks for GLIBCXX_3.4.30, and RHEL 9 has 3.4.29.
    while (!wake_.wait_for(lock, std::chrono::hours(1), [this] { return stopping_ || !calls_.empty(); })) continue;
    if (stopping_) break;
    Call call = std::move(calls_.front());
    calls_.pop_front();
    may_begin_ = !calls_.empty() && calls_.front().begin_ahead != nullptr;
    lock.unlock();
    began_ = Clock::now();
    call.work();
    settle(std::move(call.settled));
    expected_ = Clock::now() - began_;
    call = {};  // what it was given goes back to its pool
    lock.lock();
  }
  std::list<Call> refused = std::move(calls_);
  lock.unlock();
  last_();
  for (Call& call : refused) settle(std::move(call.refused));
}

}  // namespace vggnet::addon
