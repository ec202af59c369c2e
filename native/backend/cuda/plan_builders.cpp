#include "backend/cuda/plan_builders.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "backend/cuda/check.hpp"
#include "backend/cuda/plan_log.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kMostBuilders = 8;

// What the builders of one batch share. The proposals that were claimed are all those from the first to the next, and
// no more are claimed than are wanted: so what is built depends on no thread's speed, unless time runs out.
class Share {
 public:
  Share(const BuildRequest& request, int64_t offered, const std::atomic<bool>* ending)
      : request_(request), offered_(offered), ending_(ending), results_(offered - request.first), next_(request.first) {}

  void work(Proposals& proposals) {
    try {
      while (const auto index = claim()) finish(*index, attempt(proposals, *index));
    } catch (const Error&) {
      const std::lock_guard lock(mutex_);
      lost_ = std::current_exception();
    }
  }

  BuildBatch take() {
    if (lost_) std::rethrow_exception(lost_);
    results_.resize(next_ - request_.first);
    return {std::move(results_), next_, offered_};
  }

 private:
  std::optional<int64_t> claim() {
    const std::lock_guard lock(mutex_);
    const bool late = built_ > 0 && Clock::now() > request_.until;
    if (next_ >= offered_ || built_ + building_ >= request_.most || late || lost_ || (ending_ && *ending_)) return std::nullopt;
    ++building_;
    return next_++;
  }

  void finish(int64_t index, BuildResult result) {
    const std::lock_guard lock(mutex_);
    --building_;
    if (result.plan) ++built_;
    results_[index - request_.first] = std::move(result);
  }

  // Throws DEVICE_LOST.
  static BuildResult attempt(Proposals& proposals, int64_t index) {
    const auto start = Clock::now();
    BuildResult result{"plan " + std::to_string(index), "", 0, nullptr};
    try {
      result.name = proposals.name(index);
      result.plan = proposals.build(index);
    } catch (const std::exception& error) {  // of cuDNN's, its frontend's, the host's memory: one plan less
      rethrow_if_lost(error);
      result.fault = error.what();
    }
    result.seconds = seconds_since(start);
    return result;
  }

  const BuildRequest& request_;
  const int64_t offered_;
  const std::atomic<bool>* const ending_;
  std::vector<BuildResult> results_;
  std::mutex mutex_;
  int64_t next_, built_ = 0, building_ = 0;
  std::exception_ptr lost_;
};

}  // namespace

PlanBuilders::PlanBuilders(Device& device, const std::atomic<bool>* ending)
    : device_(device), ending_(ending), cudnn_(kMostBuilders) {}

Cudnn& PlanBuilders::cudnn(size_t builder) {
  if (!cudnn_[builder]) cudnn_[builder] = open_cudnn(device_);
  return *cudnn_[builder];
}

BuildBatch PlanBuilders::build(const BuildRequest& request) {
  check_ending(ending_);
  std::unique_ptr<Proposals> proposals;
  int64_t offered = 0;
  try {
    proposals = cudnn().propose(request.graph, request.heuristics);
    offered = proposals->count();
  } catch (const std::exception& error) {
    rethrow_if_lost(error);
    BuildBatch none;
    none.results.push_back({request.heuristics == Heuristics::first ? "first heuristics" : "fallback", error.what(), 0, nullptr});
    return none;
  }
  Share share(request, offered, ending_);
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const int64_t builders = std::min({kMostBuilders, cores, request.most, offered - request.first});
  {
    std::vector<std::jthread> others;
    const auto help = [&](int64_t builder) {
      try {
        device_.use_on_this_thread();
        share.work(*cudnn(builder).propose(request.graph, request.heuristics));
      } catch (const std::exception&) {  // then the others do without it
      }
    };
    try {
      for (int64_t builder = 1; builder < builders; ++builder) others.emplace_back(help, builder);
    } catch (const std::system_error&) {  // no more threads
    }
    share.work(*proposals);
  }
  check_ending(ending_);
  return share.take();
}

}  // namespace vggnet::cuda
