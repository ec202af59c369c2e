#pragma once
// What the stand-in for cuDNN makes of a graph: the convolution in it, the engines that it offers, and their results.
#include <atomic>
#include <map>

#include "backend/cuda/convolution_graph.hpp"
#include "cudnn/descriptor.hpp"

namespace stand_in {

enum Role : int { kX, kWeights, kBias, kDy, kMask, kResult, kSums, kRoles };

// A convolution and what is fused with it. Precision: bf16, or float32 for both of the others.
struct Graph {
  vggnet::cuda::ConvolutionGraph shape{};
  std::map<Role, int64_t> uids;  // of the tensors that are there
};

Graph graph_of(const Contents& operations);  // throws Refusal for any other
std::string text_of(const Graph&);
Graph graph_in(const std::string& text);

enum class Flaw { none, cannot_be_built, wrong, makes_not_a_number_zero, nondeterministic };

struct Engine {
  int64_t id;
  std::map<cudnnBackendKnobType_t, int64_t> knobs;
  Flaw flaw = Flaw::none;
  bool tensor_cores = false;
  double slowness = 1;
  int64_t workspace_bytes = 0;

  std::vector<cudnnBackendNumericalNote_t> notes() const;
};

// In the order in which they are proposed.
std::vector<Engine> engines_of(const Graph&, cudnnBackendHeurMode_t);

struct Plan {
  Graph graph;
  Engine engine;
  uint64_t number;                 // of all plans of this process
  std::atomic<int64_t> runs = 0;
};

// The graph's operation on what lies on the card.
void compute(Plan&, const vggnet::cuda::ConvolutionOperands&);

}  // namespace stand_in
