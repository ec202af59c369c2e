#include "backend/cuda/plan_trial.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "backend/cuda/check.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/sample.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kPart = 256;  // bytes; parts of the trial's memory begin at multiples

// Products that one element of the result sums.
int64_t terms_of(const ConvolutionGraph& graph) {
  switch (graph.direction) {
    case Direction::forward: return graph.kernel_h * graph.kernel_w * graph.c;
    case Direction::input_gradient: return graph.kernel_h * graph.kernel_w * graph.k;
    default: return graph.n * graph.out_h() * graph.out_w();
  }
}

// Largest relative error, in the root of the sums of squares: that of rounding, and that of adding up.
// Rounding a result to bfloat16 makes 1.7e-3, which a weight gradient, being float32, must not have; rounding the factors
// to tf32 makes 4e-4, which a plan in float32 must not do.
// Tensor cores add 16 products at once (8 in tf32) and cut the sum off at 24 bits: on average that loses 0.36 of 2^-23 of
// the sum so far. Of products with random signs the sum grows as the root of their number, so that on average two thirds
// of the last sum are there: 2.9e-8 of the result at each step, always towards zero. A plan that adds up the 12.8 million
// products of conv1_x at batch 256 in a row may be off by 2.4e-2. Float32 rounds to the nearest: by half of 2^-23 at
// most, with random signs.
double limit_of(const ConvolutionGraph& graph) {
  constexpr double kCutOff = 3e-8, kRounding = 6e-8;
  const auto terms = static_cast<double>(terms_of(graph));
  switch (graph.precision) {
    case Precision::bf16: return (graph.direction == Direction::weight_gradient ? 1e-3 : 1e-2) + kCutOff * terms / 16;
    case Precision::tf32: return 2e-3 + kCutOff * terms / 8;
    default: return 1e-4 + kRounding * std::sqrt(terms);
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

// Sorts them.
template <class Times>
double median(Times& times) {
  std::ranges::sort(times);
  return times[times.size() / 2];
}

std::string text_of(double number) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.2e", number);
  return text.data();
}

}  // namespace

PlanTrial::PlanTrial(Device& device, const ConvolutionGraph& graph, const ConvolutionOperands& operands, void* workspace)
    : device_(device), graph_(graph), operands_(operands), workspace_(workspace) {
  const int64_t element = bytes_of(element_of(graph.precision));
  const int64_t weights_bytes = round_up(Counts(graph).weights * element, kPart),
                bias_bytes = round_up(graph.k * element, kPart),
                scratch_bytes = round_up(check_scratch_bytes(graph), kPart);
  memory_ = device.allocate(weights_bytes + bias_bytes + scratch_bytes + kPart + int64_t{sizeof(int32_t)});
  char* at = static_cast<char*>(memory_->data());
  weights_ = at;
  bias_ = at += weights_bytes;
  scratch_ = at += bias_bytes;
  check_ = at += scratch_bytes;
  flag_ = reinterpret_cast<int32_t*>(at + kPart);
  static_assert(sizeof(Check) <= kPart);
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

PlanTrial::Result PlanTrial::result() const {
  const Counts counts(graph_);
  const Element element = element_of(graph_.precision);
  switch (graph_.direction) {
    case Direction::forward: return {element, operands_.y, counts.y};
    case Direction::input_gradient: return {element, operands_.dx, counts.x};
    default: return {Element::float32, operands_.dw, counts.weights};
  }
}

template <class Calls>
TrialResult PlanTrial::attempt(const Calls& calls) {
  TrialResult found;
  try {
    calls(found);
  } catch (const Error& error) {
    rethrow_if_lost(error);
    found.fault = error.what();
  }
  return found;
}

// What a plan leaves unwritten is seen: it was NaN before.
TrialResult PlanTrial::check(ConvolutionPlan& plan) {
  return attempt([&](TrialResult& found) {
    const auto [element, data, count] = result();
    multiply(device_.stream(), element, data, kNotANumber, data, count);
    plan.run(operands_, workspace_);
    device_.synchronize();
    check_results(found);
    if (found.fault.empty() && graph_.relu && !keeps_not_a_number(plan)) found.fault = "makes NaN zero";
  });
}

TrialResult PlanTrial::time(ConvolutionPlan& plan) {
  return attempt([&](TrialResult& found) {
    found.ms = milliseconds(plan);
    check_results(found);  // when runs follow each other closely, they may race
    if (!found.fault.empty()) found.fault = "after several runs: " + found.fault;
  });
}

// With NaN for every bias every output is NaN, unless the ReLU is max(x, 0).
bool PlanTrial::keeps_not_a_number(ConvolutionPlan& plan) {
  const Element element = element_of(graph_.precision);
  multiply(device_.stream(), element, bias_, kNotANumber, bias_, graph_.k);
  device_.clear(operands_.y, Counts(graph_).y * bytes_of(element));
  plan.run(operands_, workspace_);
  fill_bias();
  check_samples(device_.stream(), graph_, operands_, scratch_, static_cast<Check*>(check_));
  return downloaded<Check>(check_).not_finite == checked_elements(graph_);
}

template <class T>
T PlanTrial::downloaded(const void* data) {
  T value;
  device_.download(data, &value, sizeof value);
  return value;
}

void PlanTrial::check_results(TrialResult& found) {
  const auto compare = [&](const char* what, double limit, std::optional<double>& error) {
    const Check check = downloaded<Check>(check_);
    if (check.not_finite > 0) {
      found.fault = std::string(what) + " not finite in " + std::to_string(check.not_finite) + " positions";
      return;
    }
    error = std::sqrt(check.difference / check.reference);
    if (!(*error <= limit)) found.fault = std::string(what) + " wrong by " + text_of(*error) + ", allowed is " + text_of(limit);
  };
  Check* const check = static_cast<Check*>(check_);
  check_samples(device_.stream(), graph_, operands_, scratch_, check);
  compare("result", limit_of(graph_), found.error);
  if (!found.fault.empty()) return;

  const auto [element, data, count] = result();
  device_.clear(flag_, sizeof *flag_);
  find_not_finite(device_.stream(), element, data, count, flag_);
  if (downloaded<int32_t>(flag_) != 0) {
    found.fault = "result not finite outside of the sample";
    found.error.reset();
  }
  if (!found.fault.empty() || !graph_.sums_gradient) return;
  check_sums(device_.stream(), graph_, operands_, scratch_, check);
  std::optional<double> error_of_sums;
  compare("sums", kSumsLimit, error_of_sums);
}

// Of the median. A short plan is recorded and replayed many times in a row, as in a network: alone it would be timed
// with its launch.
double PlanTrial::milliseconds(ConvolutionPlan& plan) {
  constexpr double kPatience = 200, kShort = 1;  // ms: for one plan, and between two events
  const auto time_of = [&](const std::function<void()>& calls) { return device_.milliseconds(calls); };
  const double first = time_of([&] { plan.run(operands_, workspace_); });
  if (first >= kShort) {
    std::vector<double> times = {first};
    const size_t runs = first * 5 < kPatience ? 5 : 2;
    while (times.size() < runs) times.push_back(time_of([&] { plan.run(operands_, workspace_); }));
    return median(times);
  }
  const int repeats = std::clamp(static_cast<int>(kShort / std::max(first, 1e-3)), 4, 32);
  std::unique_ptr<Recording> recording;
  const auto replay = [&] {
    device_.run(recording, [&] {
      for (int i = 0; i < repeats; ++i) plan.run(operands_, workspace_);
    });
  };
  replay();  // makes the calls
  replay();  // records them
  std::array<double, 5> times;
  for (double& time : times) time = time_of(replay) / repeats;
  return median(times);
}

}  // namespace vggnet::cuda
