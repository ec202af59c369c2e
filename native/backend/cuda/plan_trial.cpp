#include "backend/cuda/plan_trial.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/sample.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kPart = 256;  // bytes; parts of the trial's memory begin at multiples

// Largest relative error, in the root of the sums of squares. Rounding to bfloat16 makes 1.7e-3, which a result that is
// to be float32 must not have; rounding the factors to tf32 makes 4e-4, which a plan in float32 must not do.
double limit_of(const ConvolutionGraph& graph) {
  const bool weight_gradient = graph.direction == Direction::weight_gradient;  // sums millions of products
  switch (graph.precision) {
    case Precision::bf16: return weight_gradient ? 1e-3 : 1e-2;
    case Precision::tf32: return 2e-3;
    default: return weight_gradient ? 3e-4 : 1e-4;
  }
}

constexpr double kSumsLimit = 2e-2;  // cuDNN sums what it has not rounded yet; the sample sums what was written

struct Counts {
  int64_t x, y, weights;  // elements
  explicit Counts(const ConvolutionGraph& graph)
      : x(graph.n * graph.h * graph.w * graph.c),
        y(graph.n * graph.out_h() * graph.out_w() * graph.k),
        weights(graph.k * graph.kernel_h * graph.kernel_w * graph.c) {}
};

std::string text_of(double number) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.2e", number);
  return text.data();
}

}  // namespace

PlanTrial::PlanTrial(Device& device, const ConvolutionGraph& graph, const ConvolutionOperands& operands,
                                   void* workspace)
    : device_(device), graph_(graph), operands_(operands), workspace_(workspace) {
  const int64_t element = bytes_of(element_of(graph.precision));
  const int64_t weights_bytes = round_up(Counts(graph).weights * element, kPart),
                bias_bytes = round_up(graph.k * element, kPart),
                scratch_bytes = round_up(check_scratch_bytes(graph), kPart);
  memory_ = device.allocate(weights_bytes + bias_bytes + scratch_bytes + int64_t{sizeof(Check)});
  char* at = static_cast<char*>(memory_->data());
  weights_ = at;
  bias_ = at += weights_bytes;
  scratch_ = at += bias_bytes;
  check_ = at += scratch_bytes;
  operands_.weights = weights_;
  operands_.bias = bias_;
  fill();
}

void PlanTrial::fill() {
  const Element element = element_of(graph_.precision);
  const Counts counts(graph_);
  const Stream stream = device_.stream();
  const auto writable = [](const void* data) { return const_cast<void*>(data); };
  const bool forward = graph_.direction == Direction::forward;
  if (graph_.direction != Direction::input_gradient)
    fill_random_rectified(stream, element, writable(operands_.x), counts.x, 1, 1);
  if (!forward) fill_random(stream, element, writable(operands_.dy), counts.y, 2, 1);
  if (graph_.mask) fill_random_rectified(stream, element, writable(operands_.mask), counts.x, 3, 1);
  const int64_t terms = graph_.kernel_h * graph_.kernel_w * (forward ? graph_.c : graph_.k);
  fill_random(stream, element, weights_, counts.weights, 4, std::sqrt(2.0f / static_cast<float>(terms)));
  fill_bias();
}

void PlanTrial::fill_bias() {
  fill_random(device_.stream(), element_of(graph_.precision), bias_, graph_.k, 5, 0.5f);
}

// With NaN: what a plan leaves unwritten is seen.
void PlanTrial::spoil_results() {
  const Element element = element_of(graph_.precision);
  const Counts counts(graph_);
  switch (graph_.direction) {
    case Direction::forward: return multiply(device_.stream(), element, operands_.y, kNotANumber, operands_.y, counts.y);
    case Direction::input_gradient: return multiply(device_.stream(), element, operands_.dx, kNotANumber, operands_.dx, counts.x);
    case Direction::weight_gradient:
      return multiply(device_.stream(), Element::float32, operands_.dw, kNotANumber, operands_.dw, counts.weights);
  }
}

std::optional<std::string> PlanTrial::fault(ConvolutionPlan& plan) {
  try {
    spoil_results();
    if (graph_.sums_gradient) device_.clear(operands_.sums, 4 * graph_.c);
    plan.run(operands_, workspace_);
    device_.synchronize();
  } catch (const Error& error) {
    if (std::string_view(error.code()) == kDeviceLost) throw;
    return error.what();
  }
  if (auto wrong = difference()) return wrong;
  if (graph_.relu && !keeps_not_a_number(plan)) return "makes NaN zero";
  return std::nullopt;
}

// With NaN for every bias every output is NaN, unless the ReLU is max(x, 0).
bool PlanTrial::keeps_not_a_number(ConvolutionPlan& plan) {
  const Element element = element_of(graph_.precision);
  multiply(device_.stream(), element, bias_, kNotANumber, bias_, graph_.k);
  device_.clear(operands_.y, Counts(graph_).y * bytes_of(element));
  plan.run(operands_, workspace_);
  fill_bias();
  check_samples(device_.stream(), graph_, operands_, scratch_, static_cast<Check*>(check_));
  Check check;
  device_.download(check_, &check, sizeof check);
  return check.not_finite == checked_elements(graph_);
}

std::optional<std::string> PlanTrial::difference() {
  const auto check_against = [&](const char* what, double limit) -> std::optional<std::string> {
    Check check;
    device_.download(check_, &check, sizeof check);
    if (check.not_finite > 0) return std::string(what) + " not finite in " + std::to_string(check.not_finite) + " positions";
    const double error = std::sqrt(check.difference / check.reference);
    if (error <= limit) return std::nullopt;  // not so for NaN
    return std::string(what) + " wrong by " + text_of(error) + ", allowed is " + text_of(limit);
  };
  Check* const check = static_cast<Check*>(check_);
  check_samples(device_.stream(), graph_, operands_, scratch_, check);
  if (auto fault = check_against("result", limit_of(graph_))) return fault;
  if (!graph_.sums_gradient) return std::nullopt;
  check_sums(device_.stream(), graph_, operands_, scratch_, check);
  return check_against("sums", kSumsLimit);
}

double PlanTrial::milliseconds(ConvolutionPlan& plan) {
  constexpr double kPatience = 200;  // ms for one plan
  const auto run = [&] { return device_.milliseconds([&] { plan.run(operands_, workspace_); }); };
  std::vector<double> times = {run()};
  const size_t runs = times[0] * 5 < kPatience ? 5 : 2;
  while (times.size() < runs) times.push_back(run());
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace vggnet::cuda
