#pragma once
// How well the host keeps the device's queue filled, as it sees it.
#include <chrono>
#include <optional>
#include <vector>

namespace vggnet {

struct QueueTime {
  double begin_us;  // the host needs to ask for the whole call
  double empty_us;  // nothing was in the queue before it; 0: the call before it had not ended when this one was asked for
};

class QueueClock {
 public:
  void begins() { began_ = Clock::now(); }
  void is_queued(bool before_has_ended);
  void waits() { ended_.reset(); }
  void has_ended() { ended_ = Clock::now(); }
  std::vector<QueueTime> take();

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point began_;
  std::optional<Clock::time_point> ended_;  // of the call asked for last, as the host saw it
  std::vector<QueueTime> times_;
};

}  // namespace vggnet
