// Chooses a plan for each graph: one that was chosen before, from memory or disk, or the fastest right one.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string_view>

#include "backend/cuda/convolution_description.hpp"
#include "backend/cuda/convolution_trial.hpp"
#include "backend/cuda/plan_cache.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(10);  // for one graph, if there is a plan by then

// Plans of one graph that are tried; building one takes up to a second.
int64_t plans_to_try() {
  const char* text = std::getenv("VGGNET_CUDA_PLANS");
  if (!text || !*text) return 12;
  char* end;
  const int64_t number = std::strtoll(text, &end, 10);
  if (*end || number < 1)
    throw Error(kInvalidArgument, std::string("VGGNET_CUDA_PLANS must be a number from 1, not '") + text + "'");
  return number;
}

// What each plan came to, for the case that none is right.
class Fates {
 public:
  void add(const std::string& plan, const std::string& fate) {
    if (text_.size() < kLongest) text_ += "; " + plan + ": " + fate;
  }
  const std::string& text() const { return text_; }

 private:
  static constexpr size_t kLongest = 4000;
  std::string text_;
};

// A name and a plan as one value of the cache.
std::vector<uint8_t> value_of(const BuiltPlan& plan) {
  std::vector<uint8_t> value(plan.name().begin(), plan.name().end());
  value.push_back('\n');
  const std::vector<uint8_t> serialized = plan.serialized();
  value.insert(value.end(), serialized.begin(), serialized.end());
  return value;
}

class TriedPlans final : public ConvolutionPlans {
 public:
  explicit TriedPlans(Device& device) : device_(device), cache_(plan_cache_folder()), most_(plans_to_try()) {}

  ConvolutionPlan& choose(const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* workspace) override {
    std::unique_ptr<BuiltPlan>& plan = chosen_[graph.text()];
    if (plan) return *plan;
    if (!cudnn_) cudnn_ = open_cudnn(device_);
    ConvolutionTrial trial(device_, graph, operands, workspace);
    plan = remembered(graph, trial);
    if (plan) return *plan;
    plan = fastest(graph, trial);
    remember(graph, *plan);
    return *plan;
  }

 private:
  // All that a plan depends on.
  std::string key(const ConvolutionGraph& graph) const {
    const Card& card = device_.card();
    return graph.text() + "\n" + card.name + "\nsm_" + std::to_string(card.compute_capability) + " x " +
           std::to_string(card.multiprocessors) + "\ndriver " + std::to_string(card.driver) + "\n" + cudnn_->version() + "\n";
  }

  std::unique_ptr<BuiltPlan> remembered(const ConvolutionGraph& graph, ConvolutionTrial& trial) {
    const auto value = cache_.find(key(graph));
    if (!value) return nullptr;
    const auto end = std::ranges::find(*value, '\n');
    if (end == value->end()) return nullptr;
    try {
      auto plan = cudnn_->restore(graph, std::string(value->begin(), end), std::vector<uint8_t>(end + 1, value->end()));
      if (plan->workspace_bytes() <= workspace_bytes(graph) && !trial.fault(*plan)) return plan;
    } catch (const Error& error) {
      if (std::string_view(error.code()) == kDeviceLost) throw;
    }
    return nullptr;  // tried anew
  }

  void remember(const ConvolutionGraph& graph, const BuiltPlan& plan) {
    try {
      cache_.keep(key(graph), value_of(plan));
    } catch (const Error&) {  // not every plan can be serialized
    }
  }

  std::unique_ptr<BuiltPlan> fastest(const ConvolutionGraph& graph, ConvolutionTrial& trial) {
    Fates fates;
    for (Heuristics heuristics : {Heuristics::first, Heuristics::fallback})
      if (auto plan = fastest(graph, heuristics, trial, fates)) return plan;
    throw Error(kInternal, "cuDNN has no plan that is right for " + graph.text() + fates.text());
  }

  std::unique_ptr<BuiltPlan> fastest(const ConvolutionGraph& graph, Heuristics heuristics, ConvolutionTrial& trial,
                                     Fates& fates) {
    std::unique_ptr<BuiltPlan> best;
    double best_time = 0;
    const std::unique_ptr<Proposals> proposals = propose(graph, heuristics, fates);
    const auto end = Clock::now() + kPatience;
    int64_t built = 0;
    for (int64_t i = 0; proposals && i < proposals->count() && built < most_ && !(best && Clock::now() > end); ++i) {
      auto plan = build(*proposals, i, fates);
      if (!plan) continue;
      ++built;
      if (const auto fault = trial.fault(*plan)) {
        fates.add(plan->name(), *fault);
        continue;
      }
      const double time = trial.milliseconds(*plan);
      if (best && time >= best_time) continue;
      best = std::move(plan);
      best_time = time;
    }
    return best;
  }

  std::unique_ptr<Proposals> propose(const ConvolutionGraph& graph, Heuristics heuristics, Fates& fates) {
    try {
      return cudnn_->propose(graph, heuristics);
    } catch (const Error& error) {
      fates.add(heuristics == Heuristics::first ? "first heuristics" : "fallback", error.what());
      return nullptr;
    }
  }

  static std::unique_ptr<BuiltPlan> build(Proposals& proposals, int64_t index, Fates& fates) {
    try {
      return proposals.build(index);
    } catch (const Error& error) {
      fates.add(proposals.name(index), error.what());
      return nullptr;
    }
  }

  Device& device_;
  const PlanCache cache_;
  const int64_t most_;
  std::unique_ptr<Cudnn> cudnn_;  // opened at the first choice; outlives the plans
  std::map<std::string, std::unique_ptr<BuiltPlan>> chosen_;
};

}  // namespace

std::unique_ptr<ConvolutionPlans> make_convolution_plans(Device& device) { return std::make_unique<TriedPlans>(device); }

}  // namespace vggnet::cuda
