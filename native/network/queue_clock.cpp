#include "network/queue_clock.hpp"

#include <utility>

namespace vggnet {
namespace {

constexpr size_t kMostTimes = 4096;  // nobody may ask for them

double microseconds(std::chrono::steady_clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

}  // namespace

// A call before that has ended unseen ended after this one began to be asked for.
void QueueClock::is_queued(bool before_has_ended) {
  const auto now = Clock::now();
  const auto ended = ended_.value_or(began_);
  if (times_.size() == kMostTimes) times_.clear();
  times_.push_back({microseconds(now - began_), before_has_ended ? microseconds(now - ended) : 0});
}

std::vector<QueueTime> QueueClock::take() { return std::exchange(times_, {}); }

}  // namespace vggnet
