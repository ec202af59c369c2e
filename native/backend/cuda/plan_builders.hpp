#pragma once
// Builds the plans that cuDNN proposes for a graph, on several threads: each takes up to a second of the host's time.
#include <chrono>
#include <string>
#include <vector>

#include "backend/cuda/convolution_description.hpp"

namespace vggnet::cuda {

using Clock = std::chrono::steady_clock;

// One proposal: a plan, or why there is none.
struct BuildResult {
  std::string name, fault;
  double seconds = 0;  // to build it
  std::unique_ptr<BuiltPlan> plan;
};

// Some of the proposals for a graph, from `first` on.
struct BuildRequest {
  ConvolutionGraph graph;
  Heuristics heuristics;
  int64_t first = 0;
  int64_t most;             // that can be built
  Clock::time_point until;  // if there is a plan by then
};

struct BuildBatch {
  std::vector<BuildResult> results;  // in cuDNN's order
  int64_t next = 0, offered = 0;     // the first proposal that was not tried; all
};

class PlanBuilders {
 public:
  PlanBuilders(Device&, const std::atomic<bool>* ending);

  // Throws DISPOSED when the process ends, DEVICE_LOST. The plans must not outlive this.
  BuildBatch build(const BuildRequest&);
  Cudnn& cudnn(size_t builder = 0);  // opened at the first use; each is one thread's

 private:
  Device& device_;
  const std::atomic<bool>* const ending_;
  std::vector<std::unique_ptr<Cudnn>> cudnn_;
};

}  // namespace vggnet::cuda
