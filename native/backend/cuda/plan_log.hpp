#pragma once
// The choice among plans, on record: one line of JSON for each plan that was tried and one for each choice, appended to
// the file that VGGNET_CUDA_LOG names.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace vggnet::cuda {

// What is empty is left out of the line.
struct PlanLine {
  const char* kind;                  // "convolution", "product"
  std::string graph, plan;
  const char* source = "search";     // of the plan: "search", "cache", "fallback"
  std::string alternative = {};      // "fused", "mask", "plain": what cuDNN does of an input gradient
  std::string refused = {};          // why the plan is not used
  bool chosen = false;               // a second line of the plan that is used
  std::optional<double> build_s = {}, ms = {};
  std::optional<double> error = {};  // of the result, relative, in the root of the sums of squares
  double operations = 0;             // floating-point, padded channels included: with `ms` they make the TFLOP/s
  std::optional<int64_t> workspace = {};              // bytes
  std::optional<int64_t> searched = {}, offered = {};  // plans, of all alternatives; with the choice
  std::optional<double> seconds = {};                 // that the choice took
};

void log_plan(const PlanLine&);  // throws INVALID_ARGUMENT where the file cannot be opened

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace vggnet::cuda
