// Chooses a plan for each graph: one that was chosen before, from memory or disk, or the fastest right one.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>

#include "backend/cuda/convolution_description.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/plan_builders.hpp"
#include "backend/cuda/plan_cache.hpp"
#include "backend/cuda/plan_trial.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

// Plans of one graph that are tried.
int64_t plans_to_try() {
  const char* text = std::getenv("VGGNET_CUDA_PLANS");
  if (!text || !*text) return 12;
  char* end;
  const int64_t number = std::strtoll(text, &end, 10);
  if (*end || number < 1)
    throw Error(kInvalidArgument, std::string("VGGNET_CUDA_PLANS must be a number from 1, not '") + text + "'");
  return number;
}

// Why each plan was rejected, reported where none is right.
class Rejections {
 public:
  void add(const std::string& plan, const std::string& reason) {
    if (text_.size() < kLongest) text_ += "; " + plan + ": " + reason;
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

// In the cache instead of a plan: the ReLU is a separate pass.
constexpr std::string_view kReluApart = "relu apart\n";

// A plan of the same graph without its ReLU, and our kernel.
class RectifiedPlan final : public ConvolutionPlan {
 public:
  RectifiedPlan(Device& device, const ConvolutionGraph& graph, ConvolutionPlan& bare)
      : device_(device), element_(element_of(graph.precision)),
        count_(graph.n * graph.out_h() * graph.out_w() * graph.k), bare_(bare), name_(bare.name() + ", relu apart") {}
  const std::string& name() const override { return name_; }

  void run(const ConvolutionOperands& operands, void* workspace) override {
    bare_.run(operands, workspace);
    rectify(device_.stream(), element_, operands.y, operands.y, count_);
  }

 private:
  Device& device_;
  const Element element_;
  const int64_t count_;
  ConvolutionPlan& bare_;
  const std::string name_;
};

class TriedPlans final : public ConvolutionPlans {
 public:
  explicit TriedPlans(Device& device)
      : device_(device), cache_(plan_cache_folder()), most_(plans_to_try()), builders_(device) {}

  ConvolutionPlan& choose(const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* workspace) override {
    std::unique_ptr<ConvolutionPlan>& plan = chosen_[graph.text()];
    if (!plan) plan = find(graph, operands, workspace);
    return *plan;
  }

 private:
  std::unique_ptr<ConvolutionPlan> find(const ConvolutionGraph& graph, const ConvolutionOperands& operands,
                                        void* workspace) {
    const auto known = cache_.find(key(graph));
    const bool apart = known && std::ranges::equal(*known, kReluApart);
    Rejections rejections;
    if (!apart) {
      PlanTrial trial(device_, graph, operands, workspace);
      if (known)
        if (auto plan = restored(graph, *known, trial)) return plan;
      if (auto plan = fastest(graph, trial, rejections)) {
        remember(graph, *plan);
        return plan;
      }
      if (!graph.relu) throw Error(kInternal, "cuDNN has no plan that is right for " + graph.text() + rejections.text());
    }
    ConvolutionGraph bare = graph;
    bare.relu = false;
    auto plan = std::make_unique<RectifiedPlan>(device_, graph, choose(bare, operands, workspace));
    if (!apart) cache_.keep(key(graph), {kReluApart.begin(), kReluApart.end()});
    return plan;
  }

  // All that a plan depends on.
  std::string key(const ConvolutionGraph& graph) {
    const Card& card = device_.card();
    return graph.text() + "\n" + card.name + "\nsm_" + std::to_string(card.compute_capability) + " x " +
           std::to_string(card.multiprocessors) + "\ndriver " + std::to_string(card.driver) + "\n" + builders_.cudnn().version() + "\n";
  }

  std::unique_ptr<BuiltPlan> restored(const ConvolutionGraph& graph, const std::vector<uint8_t>& value,
                                      PlanTrial& trial) {
    const auto end = std::ranges::find(value, '\n');
    if (end == value.end()) return nullptr;
    try {
      auto plan = builders_.cudnn().restore(graph, std::string(value.begin(), end), std::vector<uint8_t>(end + 1, value.end()));
      if (plan->workspace_bytes() <= workspace_bytes(graph) && !trial.fault(*plan)) return plan;
    } catch (const Error& error) {
      if (std::string_view(error.code()) == kDeviceLost) throw;
    }
    return nullptr;  // tried again
  }

  void remember(const ConvolutionGraph& graph, const BuiltPlan& plan) {
    try {
      cache_.keep(key(graph), value_of(plan));
    } catch (const Error&) {  // not every plan can be serialized
    }
  }

  std::unique_ptr<BuiltPlan> fastest(const ConvolutionGraph& graph, PlanTrial& trial, Rejections& rejections) {
    for (Heuristics heuristics : {Heuristics::first, Heuristics::fallback})
      if (auto plan = fastest(graph, heuristics, trial, rejections)) return plan;
    return nullptr;
  }

  std::unique_ptr<BuiltPlan> fastest(const ConvolutionGraph& graph, Heuristics heuristics, PlanTrial& trial,
                                     Rejections& rejections) {
    std::unique_ptr<BuiltPlan> best;
    double best_time = 0;
    for (BuildResult& result : builders_.build(graph, heuristics, most_)) {
      const auto fault = result.plan ? trial.fault(*result.plan) : std::optional(result.fault);
      if (fault) {
        rejections.add(result.name, *fault);
        continue;
      }
      const double time = trial.milliseconds(*result.plan);
      if (best && time >= best_time) continue;
      best = std::move(result.plan);
      best_time = time;
    }
    return best;
  }

  Device& device_;
  const PlanCache cache_;
  const int64_t most_;
  PlanBuilders builders_;  // outlive the plans
  std::map<std::string, std::unique_ptr<ConvolutionPlan>> chosen_;
};

}  // namespace

std::unique_ptr<ConvolutionPlans> make_convolution_plans(Device& device) { return std::make_unique<TriedPlans>(device); }

}  // namespace vggnet::cuda
