#include "backend/cuda/convolution_graph.hpp"

#include <algorithm>

namespace vggnet::cuda {
namespace {

const char* name_of(Direction direction) {
  switch (direction) {
    case Direction::forward: return "forward";
    case Direction::input_gradient: return "input-gradient";
    default: return "weight-gradient";
  }
}

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::bf16: return "bf16";
    case Precision::tf32: return "tf32";
    default: return "float32";
  }
}

}  // namespace

std::string ConvolutionGraph::text() const {
  std::string text = name_of(direction);
  const auto add = [&](const char* name, int64_t value) { text += std::string(" ") + name + std::to_string(value); };
  add("n", n), add("c", c), add("h", h), add("w", w), add("k", k);
  text += " " + std::to_string(kernel_h) + "x" + std::to_string(kernel_w);
  add("p", padding);
  text += std::string(" ") + name_of(precision);
  const auto flag = [&](bool set, const char* name) { text += set ? std::string(" ") + name : ""; };
  flag(bias, "bias"), flag(relu, "relu"), flag(mask, "mask");
  if (mask_scale != 1) text += " x" + std::to_string(mask_scale);
  flag(sums_gradient, "sums");
  flag(deterministic, "deterministic"), flag(exact, "exact");
  return text;
}

std::vector<Alternative> alternatives_of(const ConvolutionGraph& wanted) {
  std::vector<Alternative> alternatives;
  ConvolutionGraph graph = wanted;
  const auto add = [&](const char* name, bool last_resort) { alternatives.push_back({name, graph, last_resort}); };
  if (wanted.direction == Direction::forward) {
    add("fused", false);
    graph.relu = false;
    if (wanted.relu && wanted.bias) add("bias", true);
    graph.bias = false;
    if (wanted.relu || wanted.bias) add("plain", true);
    return alternatives;
  }
  // In float32 cuDNN has nothing with a mask but its slowest engine; it sums with atomics.
  const bool masks = wanted.mask && wanted.mask_scale == 1 && wanted.precision != Precision::float32;
  if (masks && wanted.sums_gradient && !wanted.deterministic) add("fused", false);
  graph.sums_gradient = false;
  if (masks) add("mask", false);
  graph.mask = false;
  graph.mask_scale = 1;
  add(wanted.direction == Direction::weight_gradient ? "fused" : "plain", false);
  return alternatives;
}

// In bf16 no plan has been seen to want 32 MiB. In float32, and here and there in tf32, many want two or three times the
// larger tensor, some much more; where none is left cuDNN's fallback runs in little.
int64_t workspace_bytes(const ConvolutionGraph& graph) {
  constexpr int64_t kLeast = int64_t{64} << 20, kMost = int64_t{512} << 20;
  if (graph.precision == Precision::bf16) return kLeast;
  const int64_t larger = std::max(graph.c * graph.h * graph.w, graph.k * graph.out_h() * graph.out_w());
  return std::clamp(4 * graph.n * larger * bytes_of(Element::float32), kLeast, kMost);
}

}  // namespace vggnet::cuda
