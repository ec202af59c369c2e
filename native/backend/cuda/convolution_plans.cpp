// Chooses a plan for each graph: one that was chosen before, from memory or disk, or the best that a search finds.
#include <algorithm>
#include <map>
#include <sstream>
#include <string_view>

#include "backend/cuda/check.hpp"
#include "backend/cuda/plan_cache.hpp"
#include "backend/cuda/plan_search.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

// A choice as one value of the cache: lines of text, then the plan as cuDNN serializes it.
struct Choice {
  std::string alternative, plan;
  SearchExtent extent;
  std::vector<uint8_t> serialized;
};

constexpr std::string_view kFormat = "choice 2";

std::vector<uint8_t> value_of(const Choice& choice) {
  const SearchExtent& extent = choice.extent;
  std::ostringstream head;
  head << kFormat << '\n' << choice.alternative << '\n' << choice.plan << '\n' << extent.searched << ' ' << extent.offered
       << ' ' << extent.cut_by_plans << ' ' << extent.cut_by_time << ' ' << extent.limits.plans << ' '
       << extent.limits.seconds << '\n';
  const std::string text = head.str();
  std::vector<uint8_t> value(text.begin(), text.end());
  value.insert(value.end(), choice.serialized.begin(), choice.serialized.end());
  return value;
}

// Nothing where it is of another version.
std::optional<Choice> choice_of(const std::vector<uint8_t>& value) {
  std::istringstream stream(std::string(value.begin(), value.end()));
  Choice choice;
  SearchExtent& extent = choice.extent;
  std::string format, line;
  if (!std::getline(stream, format) || format != kFormat || !std::getline(stream, choice.alternative) ||
      !std::getline(stream, choice.plan) || !std::getline(stream, line))
    return std::nullopt;
  std::istringstream numbers(line);
  numbers >> extent.searched >> extent.offered >> extent.cut_by_plans >> extent.cut_by_time >> extent.limits.plans >>
      extent.limits.seconds;
  if (!numbers) return std::nullopt;
  choice.serialized.assign(value.begin() + stream.tellg(), value.end());
  return choice;
}

class TriedPlans final : public ConvolutionPlans {
 public:
  TriedPlans(Device& device, const std::atomic<bool>* ending)
      : device_(device), ending_(ending), cache_(plan_cache_folder()), limits_(search_limits()), builders_(device, ending) {}

  ConvolutionPlan& choose(const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* workspace) override {
    std::unique_ptr<ConvolutionPlan>& plan = chosen_[graph.text()];
    if (!plan) plan = find(graph, operands, workspace);
    return *plan;
  }

 private:
  std::unique_ptr<CompletedPlan> find(const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* workspace) {
    PlanTrial trial(device_, graph, operands, workspace);
    if (auto plan = restored(graph, trial)) return plan;
    PlanSearch search(device_, builders_, trial, limits_, ending_);
    auto plan = search.choose();
    remember(graph, *plan, search.extent());
    return plan;
  }

  // All that a plan depends on.
  std::string key(const ConvolutionGraph& graph) {
    const Card& card = device_.card();
    return graph.text() + "\n" + card.name + "\nsm_" + std::to_string(card.compute_capability) + " x " +
           std::to_string(card.multiprocessors) + "\ndriver " + std::to_string(card.driver) + "\n" + builders_.cudnn().version() + "\n";
  }

  // Null where there is none, where it is not right any more, and where more is to be searched than then.
  std::unique_ptr<CompletedPlan> restored(const ConvolutionGraph& graph, PlanTrial& trial) {
    const auto start = Clock::now();
    const auto value = cache_.find(key(graph));
    const auto choice = value ? choice_of(*value) : std::nullopt;
    if (!choice || !choice->extent.suffices(limits_)) return nullptr;
    const std::vector<Alternative> alternatives = alternatives_of(graph);
    const auto alternative = std::ranges::find(alternatives, choice->alternative, &Alternative::name);
    if (alternative == alternatives.end()) return nullptr;

    PlanLine line = line_of(graph, alternative->name, choice->plan);
    line.source = "cache";
    std::unique_ptr<CompletedPlan> plan;
    try {
      auto built = builders_.cudnn().restore(alternative->graph, choice->plan, choice->serialized);
      line.build_s = seconds_since(start);
      line.workspace = built->workspace_bytes();
      if (*line.workspace > workspace_bytes(graph)) throw Error(kInternal, "its workspace has become larger than what is planned");
      plan = std::make_unique<CompletedPlan>(device_, graph, *alternative, std::move(built));
      const TrialResult found = trial.check(*plan);
      line.error = found.error;
      line.refused = found.fault;
    } catch (const Error& error) {
      rethrow_if_lost(error);
      line.refused = std::string("cannot be restored: ") + error.what();
    }
    line.chosen = line.refused.empty();
    line.searched = choice->extent.searched;
    line.offered = choice->extent.offered;
    line.seconds = seconds_since(start);
    log_plan(line);
    return line.chosen ? std::move(plan) : nullptr;
  }

  void remember(const ConvolutionGraph& graph, const CompletedPlan& plan, const SearchExtent& extent) {
    try {
      cache_.keep(key(graph), value_of({plan.alternative(), plan.built().name(), extent, plan.built().serialized()}));
    } catch (const Error& error) {
      PlanLine line = line_of(graph, plan.alternative(), plan.built().name());
      line.source = "cache";
      line.refused = std::string("cannot be kept: ") + error.what();
      log_plan(line);
    }
  }

  Device& device_;
  const std::atomic<bool>* const ending_;
  const PlanCache cache_;
  const SearchLimits limits_;
  PlanBuilders builders_;  // outlive the plans
  std::map<std::string, std::unique_ptr<ConvolutionPlan>> chosen_;
};

}  // namespace

std::unique_ptr<ConvolutionPlans> make_convolution_plans(Device& device, const std::atomic<bool>* ending) {
  return std::make_unique<TriedPlans>(device, ending);
}

}  // namespace vggnet::cuda
