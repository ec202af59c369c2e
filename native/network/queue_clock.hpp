#pragma once
// How well the host keeps the device's queue filled, as it sees it.
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

namespace vggnet {

struct QueueTime {
  double begin_us;  // the host needs to ask for the whole call
  double empty_us;  // nothing was in the queue before it; 0: the call before it had not ended when this one was asked for
};

class QueueClock {
 public:
  void begins() {
    times_.reserve(kMostTimes);  // a call that is in the queue must not fail
    began_ = Clock::now();
  }
  // A call before that has ended unseen ended after this one began to be asked for.
  void is_queued(bool before_has_ended) {
    const auto now = Clock::now();
    const auto ended = ended_.value_or(began_);
    if (times_.size() == kMostTimes) times_.clear();
    times_.push_back({microseconds(now - began_), before_has_ended ? microseconds(now - ended) : 0});
  }
  void waits() { ended_.reset(); }
  void has_ended() { ended_ = Clock::now(); }
  std::vector<QueueTime> take() { return std::exchange(times_, {}); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMostTimes = 4096;  // nobody may ask for them
  static double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

  Clock::time_point began_;
  std::optional<Clock::time_point> ended_;  // of the call asked for last, as the host saw it
  std::vector<QueueTime> times_;
};

}  // namespace vggnet
