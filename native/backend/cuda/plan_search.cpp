#include "backend/cuda/plan_search.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kPlans = 24;
constexpr double kSeconds = 10, kMostSeconds = 1e6;
constexpr size_t kLongestRefusals = 4000;  // of a message

// A weight gradient that is off by more is no gradient; one that is off by less is taken where there is no better.
constexpr double kTolerable = 5e-2;

template <class Number>
Number variable(const char* name, const char* expected, Number least, Number otherwise) {
  const char* text = std::getenv(name);
  if (!text || !*text) return otherwise;
  Number number{};
  const char* const end = text + std::strlen(text);
  const auto [read, error] = std::from_chars(text, end, number);
  if (error == std::errc() && read == end && number >= least) return number;
  throw Error(kInvalidArgument, std::string(name) + " must be " + expected + ", not '" + text + "'");
}

double operations_of(const ConvolutionGraph& graph) {
  return 2.0 * static_cast<double>(graph.n * graph.out_h() * graph.out_w() * graph.k) *
         static_cast<double>(graph.kernel_h * graph.kernel_w * graph.c);
}

}  // namespace

SearchLimits search_limits() {
  return {variable<int64_t>("VGGNET_CUDA_PLANS", "a number from 1", 1, kPlans),
          variable<double>("VGGNET_CUDA_SECONDS", "a number of seconds from 0", 0, kSeconds)};
}

PlanLine line_of(const ConvolutionGraph& wanted, const char* alternative, const std::string& plan) {
  PlanLine line{"convolution", wanted.text(), plan};
  line.alternative = alternative;
  line.operations = operations_of(wanted);
  return line;
}

PlanSearch::PlanSearch(Device& device, PlanBuilders& builders, PlanTrial& trial, const SearchLimits& limits,
                       const std::atomic<bool>* ending)
    : device_(device), builders_(builders), trial_(trial), wanted_(trial.graph()), ending_(ending) {
  extent_.limits = limits;
}

std::unique_ptr<CompletedPlan> PlanSearch::choose() {
  const auto end = start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(extent_.limits.seconds, kMostSeconds)));
  const std::vector<Alternative> alternatives = alternatives_of(wanted_);
  for (size_t i = 0; i < alternatives.size(); ++i) {
    if (best_.plan && alternatives[i].last_resort) break;
    if (best_.plan && !measures()) {
      extent_.cut_by_plans = extent_.cut_by_plans || !wanted_.deterministic;
      break;
    }
    const auto now = Clock::now();
    const auto until = now + (end - now) / static_cast<int64_t>(alternatives.size() - i);
    for (Heuristics heuristics : {Heuristics::first, Heuristics::fallback})
      if (try_all(alternatives[i], heuristics, until)) break;
  }
  Candidate& chosen = best_.plan ? best_ : nearest_;
  if (!chosen.plan) throw Error(kInternal, "cuDNN has no plan that is right for " + wanted_.text() + refusals_);
  chosen.line.chosen = true;
  chosen.line.searched = extent_.searched;
  chosen.line.offered = extent_.offered;
  chosen.line.seconds = seconds_since(start_);
  log_plan(chosen.line);
  return std::move(chosen.plan);
}

// True where one of them is right; until there is one, no number and no time is too much.
bool PlanSearch::try_all(const Alternative& alternative, Heuristics heuristics, Clock::time_point until) {
  BuildRequest request{alternative.graph, heuristics, 0, extent_.limits.plans, until};
  if (wanted_.deterministic) {  // one after the other: which is chosen must depend on no clock
    request.most = 1;
    request.until = Clock::time_point::max();
  }
  for (;;) {
    BuildBatch batch = builders_.build(request);
    if (request.first == 0) extent_.offered += batch.offered;
    bool right = false;
    int64_t built = 0;
    for (BuildResult& result : batch.results) {
      check_ending(ending_);
      if (result.plan) ++built;
      if (try_one(alternative, heuristics, result)) right = true;
    }
    if (right) {
      const bool rest = batch.next < batch.offered && !wanted_.deterministic;
      if (rest) (built < request.most ? extent_.cut_by_time : extent_.cut_by_plans) = true;
      return true;
    }
    if (batch.next >= batch.offered) return false;
    request.first = batch.next;
  }
}

bool PlanSearch::try_one(const Alternative& alternative, Heuristics heuristics, BuildResult& result) {
  PlanLine line = line_of(wanted_, alternative.name, result.name);
  if (heuristics == Heuristics::fallback) line.source = "fallback";
  line.build_s = result.seconds;
  if (!result.plan) {
    refuse(line, result.name, result.fault);
    return false;
  }
  line.workspace = result.plan->workspace_bytes();
  auto plan = std::make_unique<CompletedPlan>(device_, wanted_, alternative, std::move(result.plan));
  ++extent_.searched;
  const TrialResult first = trial_.check(*plan);
  line.error = first.error;
  if (!first.fault.empty()) {
    refuse(line, plan->name(), first.fault);
    const bool nearer = wanted_.direction == Direction::weight_gradient && line.error && *line.error < kTolerable &&
                        (!nearest_.plan || *line.error < *nearest_.line.error);
    if (nearer) nearest_ = {std::move(plan), line};
    return false;
  }
  if (measures()) {
    const TrialResult timed = trial_.time(*plan);
    line.ms = timed.ms;
    if (!timed.fault.empty()) {
      refuse(line, plan->name(), timed.fault);
      return false;
    }
  }
  log_plan(line);
  if (!best_.plan || (line.ms && *line.ms < *best_.line.ms)) best_ = {std::move(plan), line};
  return true;
}

void PlanSearch::refuse(PlanLine& line, const std::string& plan, const std::string& reason) {
  line.refused = reason;
  log_plan(line);
  if (refusals_.size() < kLongestRefusals) refusals_ += "; " + plan + ": " + reason;
}

}  // namespace vggnet::cuda
