#pragma once
// One thread for each network: calls run in the order made, promises are settled on the JavaScript thread.
#include <napi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace vggnet::addon {

// What the JavaScript thread does when a call has ended: resolve or reject.
using Settle = std::function<void(Napi::Env)>;
// Runs on the worker's thread. Never throws.
using Work = std::function<void()>;

class Worker {
 public:
  explicit Worker(Napi::Env);  // throws OUT_OF_MEMORY where the system gives no thread
  ~Worker();  // waits for the call that is running; what has not begun is dropped
  Worker(const Worker&) = delete;

  // `settled` settles the call after `work`; `refused` does if stop() comes before its turn. All is allocated here: nobody
  // can be told that the worker's thread has no memory. `begin_ahead` may be called before, once, by the call in
  // front of it (see meanwhile), on the same thread.
  void post(Work, Settle settled, Settle refused, std::function<void()> begin_ahead = nullptr);
  // For a call that has to wait for its device, on the worker's thread, again and again: begins the next call as soon as
  // there is one, or lets a moment pass.
  void meanwhile();
  // Runs `last` after the call that is running, refuses the others, and ends the thread. Returns at once.
  void stop(std::function<void()> last);
  bool exiting() const { return exiting_; }  // the JavaScript environment is closing
  // As exiting, for the thread: its results are no longer needed.
  const std::atomic<bool>& ending() const { return ending_; }

 private:
  struct OfThread;
  struct Call {
    Work work;
    std::unique_ptr<Settle> settled, refused;
    std::function<void()> begin_ahead;
  };
  using Clock = std::chrono::steady_clock;

  void loop();
  void settle(std::unique_ptr<Settle>);
  void end_thread();
  static void at_exit(void* worker);
  static OfThread& of_this_thread();

  Napi::Env env_;
  napi_threadsafe_function settle_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Call> calls_;
  std::atomic<bool> may_begin_ = false;  // the call in front has a begin_ahead
  Clock::time_point began_;  // of the worker's thread: the call that is running
  Clock::duration expected_{};  // of it: what the call before it took
  std::function<void()> last_;
  bool stopping_ = false, exiting_ = false;
  std::atomic<bool> ending_ = false;
  int unsettled_ = 0;  // JavaScript thread only: keeps the event loop alive while it is above 0
  std::thread thread_;
};

}  // namespace vggnet::addon
