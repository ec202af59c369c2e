#pragma once
// Builds the plans that cuDNN proposes for a graph, on several threads: each takes up to a second of the host's time.
#include <string>
#include <vector>

#include "backend/cuda/convolution_description.hpp"

namespace vggnet::cuda {

// One proposal: a plan, or why there is none.
struct BuildResult {
  std::string name, fault;
  std::unique_ptr<BuiltPlan> plan;
};

class PlanBuilders {
 public:
  explicit PlanBuilders(Device&);

  // The first `most` that can be built, in cuDNN's order; fewer where that takes long. The plans must not outlive this.
  std::vector<BuildResult> build(const ConvolutionGraph&, Heuristics, int64_t most);
  Cudnn& cudnn(size_t builder = 0);  // opened at the first use; each is one thread's

 private:
  Device& device_;
  std::vector<std::unique_ptr<Cudnn>> cudnn_;
};

}  // namespace vggnet::cuda
