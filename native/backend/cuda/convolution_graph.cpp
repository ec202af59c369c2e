#include "backend/cuda/convolution_graph.hpp"

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
  flag(bias, "bias"), flag(relu, "relu"), flag(mask, "mask"), flag(sums_gradient, "sums");
  flag(deterministic, "deterministic"), flag(exact, "exact");
  return text;
}

int64_t workspace_bytes(const ConvolutionGraph& graph) {
  constexpr int64_t kMiB = 1 << 20;
  return graph.precision == Precision::float32 ? 512 * kMiB : 64 * kMiB;
}

}  // namespace vggnet::cuda
