#include "addon/worker.hpp"

#include <chrono>
#include <set>
#include <utility>
#include <vector>

namespace vggnet::addon {
namespace {

constexpr std::chrono::microseconds kMoment{50};

// Never destroyed: workers of other environments may outlive the main thread's.
struct Workers {
  std::mutex mutex;
  std::set<Worker*> all;
};

Workers& workers() {
  static auto& the_workers = *new Workers;
  return the_workers;
}

}  // namespace

Worker::Worker(Napi::Env env) : env_(env) {
  const auto call_settle = [](napi_env env, napi_value, void* context, void* data) {
    std::unique_ptr<Settle> settle(static_cast<Settle*>(data));
    if (!env) return;  // the environment is closing
    auto* worker = static_cast<Worker*>(context);
    if (--worker->unsettled_ == 0) napi_unref_threadsafe_function(env, worker->settle_);
    Napi::HandleScope scope(env);
    (*settle)(env);
  };
  napi_value name = Napi::String::New(env, "vggnet network");
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                                             call_settle, &settle_);
  if (status != napi_ok) throw Napi::Error::New(env, "could not make a thread-safe function");
  napi_unref_threadsafe_function(env, settle_);
  // After the function above: hooks run in reverse order, so the thread has ended before the function goes.
  napi_add_env_cleanup_hook(env, at_exit, this);
  thread_ = std::thread([this] { loop(); });
  std::lock_guard lock(workers().mutex);
  workers().all.insert(this);
}

Worker::~Worker() {
  {
    std::lock_guard lock(workers().mutex);
    workers().all.erase(this);
  }
  napi_remove_env_cleanup_hook(env_, at_exit, this);
  end_thread();
  if (!exiting_) napi_release_threadsafe_function(settle_, napi_tsfn_release);
}

void Worker::at_exit(void* data) {
  auto* worker = static_cast<Worker*>(data);
  worker->exiting_ = true;
  worker->end_thread();
}

// On the environment's own thread, as its workers are made and destroyed: none of them goes meanwhile.
void Worker::end_all(Napi::Env env) {
  std::vector<Worker*> own;
  {
    std::lock_guard lock(workers().mutex);
    for (Worker* worker : workers().all)
      if (static_cast<napi_env>(worker->env_) == static_cast<napi_env>(env)) own.push_back(worker);
  }
  for (Worker* worker : own) at_exit(worker);
}

void Worker::end_thread() {
  stop([] {});
  if (thread_.joinable()) thread_.join();
}

void Worker::post(Work work, Settle refused, std::function<void()> ahead) {
  if (unsettled_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  {
    std::lock_guard lock(mutex_);
    calls_.push_back({std::move(work), std::move(refused), std::move(ahead)});
  }
  wake_.notify_one();
}

void Worker::meanwhile() {
  std::unique_lock lock(mutex_);
  if (calls_.empty() || !calls_.front().ahead) {
    wake_.wait_for(lock, kMoment);
    return;
  }
  const auto ahead = std::exchange(calls_.front().ahead, nullptr);
  lock.unlock();
  ahead();
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

void Worker::settle(Settle settle) {
  auto* data = new Settle(std::move(settle));
  if (napi_call_threadsafe_function(settle_, data, napi_tsfn_blocking) != napi_ok) delete data;  // closing
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // Not wait: that of g++ 12 and later asks for GLIBCXX_3.4.30, and RHEL 9 has 3.4.29.
    while (!wake_.wait_for(lock, std::chrono::hours(1), [this] { return stopping_ || !calls_.empty(); })) continue;
    if (stopping_) break;
    Call call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    settle(call.work());
    call = {};
    lock.lock();
  }
  std::deque<Call> refused = std::move(calls_);
  lock.unlock();
  last_();
  for (Call& call : refused) settle(std::move(call.refused));
}

}  // namespace vggnet::addon
