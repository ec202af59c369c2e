#include "network/gradient_sums.hpp"

#include <algorithm>

namespace vggnet {
namespace {

constexpr int64_t kLeast = int64_t{25} << 18;  // floats of one sum, 25 MiB: smaller ones would travel less quickly

}  // namespace

GradientSums::GradientSums(Communicator& group, Parameters& parameters, const std::set<std::string>& frozen)
    : group_(group),
      entries_(parameters.entries()),
      frozen_(frozen),
      arena_(parameters.arena(Role::gradient)),
      left_(entries_.size()) {}

void GradientSums::ready(const std::string& layer) {
  const auto first = std::ranges::find_if(entries_, [&](const ParameterEntry& entry) { return entry.parameter.layer == layer; });
  const size_t until = first - entries_.begin();
  while (left_ > until) add(entries_[--left_]);
}

void GradientSums::add(const ParameterEntry& entry) {
  if (frozen_.contains(entry.parameter.layer)) return;
  const int64_t end = entry.offset + round_up(entry.stored_count, 16);
  if (end != begin_) {
    begin_sum();
    end_ = end;
  }
  begin_ = entry.offset;
  if (end_ - begin_ >= kLeast) begin_sum();
}

void GradientSums::begin_sum() {
  if (end_ > begin_) group_.begin_sum(arena_ + begin_, end_ - begin_);
  end_ = begin_;
}

void GradientSums::finish() {
  while (left_ > 0) add(entries_[--left_]);
  begin_sum();
  group_.finish();
}

}  // namespace vggnet
