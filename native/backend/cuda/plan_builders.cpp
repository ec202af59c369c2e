#include "backend/cuda/plan_builders.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(10);  // for one graph, if there is a plan by then
constexpr int64_t kMostBuilders = 8;

// The state that the builders of one graph share: the next proposal, and when to stop.
class Share {
 public:
  Share(int64_t proposals, int64_t most) : results_(proposals), most_(most) {}

  void work(Proposals& proposals) {
    for (int64_t i; wanted() && (i = next_++) < std::ssize(results_);) {
      results_[i] = attempt(proposals, i);
      if (results_[i].plan) ++built_;
    }
  }

  std::vector<BuildResult> take() {
    std::erase_if(results_, [](const BuildResult& result) { return !result.plan && result.fault.empty(); });
    int64_t kept = 0;
    std::erase_if(results_, [&](const BuildResult& result) { return result.plan && ++kept > most_; });
    return std::move(results_);
  }

 private:
  bool wanted() const { return built_ < most_ && !(built_ > 0 && Clock::now() > end_); }

  static BuildResult attempt(Proposals& proposals, int64_t index) {
    const std::string name = proposals.name(index);
    try {
      return {name, "", proposals.build(index)};
    } catch (const Error& error) {
      return {name, error.what(), nullptr};
    }
  }

  std::vector<BuildResult> results_;  // each written by one builder
  const int64_t most_;
  const Clock::time_point end_ = Clock::now() + kPatience;
  std::atomic<int64_t> next_ = 0, built_ = 0;
};

}  // namespace

PlanBuilders::PlanBuilders(Device& device) : device_(device), cudnn_(kMostBuilders) {}

Cudnn& PlanBuilders::cudnn(size_t builder) {
  if (!cudnn_[builder]) cudnn_[builder] = open_cudnn(device_);
  return *cudnn_[builder];
}

std::vector<BuildResult> PlanBuilders::build(const ConvolutionGraph& graph, Heuristics heuristics, int64_t most) {
  std::unique_ptr<Proposals> proposals;
  try {
    proposals = cudnn().propose(graph, heuristics);
  } catch (const Error& error) {
    std::vector<BuildResult> none;
    none.push_back({heuristics == Heuristics::first ? "first heuristics" : "fallback", error.what(), nullptr});
    return none;
  }
  Share share(proposals->count(), most);
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const int64_t builders = std::min({kMostBuilders, cores, most, proposals->count()});
  {
    std::vector<std::jthread> others;
    for (int64_t builder = 1; builder < builders; ++builder)
      others.emplace_back([&, builder] {
        try {
          device_.use_on_this_thread();
          share.work(*cudnn(builder).propose(graph, heuristics));
        } catch (const Error&) {  // then the others do without it
        }
      });
    share.work(*proposals);
  }
  return share.take();
}

}  // namespace vggnet::cuda
