#pragma once
// The queue of a device: one thread that runs what it is given, in order, while its caller goes on.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace vggnet::serial {

class DeviceQueue {
 public:
  DeviceQueue() : thread_([this] { loop(); }) {}
  ~DeviceQueue() {
    add(nullptr);
    thread_.join();
  }
  DeviceQueue(const DeviceQueue&) = delete;

  // Returns the number of the job. An empty job ends the thread.
  uint64_t add(std::function<void()> job) {
    uint64_t number;
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      number = ++added_;
    }
    wake_.notify_one();
    return number;
  }
  uint64_t last() const { return added_; }
  bool reached(uint64_t number) const { return done_ >= number; }
  void wait() {
    const uint64_t number = added_;
    while (!reached(number)) std::this_thread::yield();
  }

 private:
  void loop() {
    for (;;) {
      std::unique_lock lock(mutex_);
      while (jobs_.empty()) wake_.wait_for(lock, std::chrono::hours(1));
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      if (!job) return;
      job();
      ++done_;
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::atomic<uint64_t> added_ = 0, done_ = 0;
  std::thread thread_;
};

}  // namespace vggnet::serial
