#pragma once
// Chooses the plan of one graph: the fastest right one of its alternatives.
#include <optional>

#include "backend/cuda/plan_builders.hpp"
#include "backend/cuda/plan_completed.hpp"
#include "backend/cuda/plan_log.hpp"
#include "backend/cuda/plan_trial.hpp"

namespace vggnet::cuda {

struct SearchLimits {
  int64_t plans;   // that are built for each alternative; 1: the first right plan of all is taken, and none is timed
  double seconds;  // of building and trying, shared by the alternatives; each has one plan at least
};

SearchLimits search_limits();  // VGGNET_CUDA_PLANS, VGGNET_CUDA_SECONDS; throws INVALID_ARGUMENT

// How far a search went.
struct SearchExtent {
  int64_t searched = 0, offered = 0;            // plans that were tried, and that cuDNN has
  bool cut_by_plans = false, cut_by_time = false;
  SearchLimits limits{};

  // Whether a search with these limits could not have found more.
  bool suffices(const SearchLimits& wanted) const {
    return !(cut_by_plans && wanted.plans > limits.plans) && !(cut_by_time && wanted.seconds > limits.seconds);
  }
};

class PlanSearch {
 public:
  PlanSearch(Device&, PlanBuilders&, PlanTrial&, const SearchLimits&, const std::atomic<bool>* ending);

  // Throws INTERNAL where no plan is right, with the reasons; DISPOSED when the process ends.
  std::unique_ptr<CompletedPlan> choose();
  const SearchExtent& extent() const { return extent_; }

 private:
  // A plan, and what is known of it.
  struct Candidate {
    std::unique_ptr<CompletedPlan> plan;
    PlanLine line;
  };

  bool measures() const { return !wanted_.deterministic && extent_.limits.plans > 1; }
  bool try_all(const Alternative&, Heuristics, Clock::time_point until);
  bool try_one(const Alternative&, Heuristics, BuildResult&);
  void refuse(PlanLine&, const std::string& plan, const std::string& reason);

  Device& device_;
  PlanBuilders& builders_;
  PlanTrial& trial_;
  const ConvolutionGraph& wanted_;
  const std::atomic<bool>* const ending_;
  const Clock::time_point start_ = Clock::now();
  SearchExtent extent_;
  Candidate best_, nearest_;  // nearest_: of weight gradients, the least wrong
  std::string refusals_;
};

// Of the graph that is wanted: for the lines of its plans.
PlanLine line_of(const ConvolutionGraph& wanted, const char* alternative, const std::string& plan);

}  // namespace vggnet::cuda
