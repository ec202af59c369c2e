#pragma once
// Runs plans on random numbers, checks the results against samples computed in double, and times them.
#include <optional>

#include "backend/cuda/convolution_graph.hpp"

namespace vggnet::cuda {

class PlanTrial {
 public:
  // Fills x, dy and mask where the graph reads them. Weights and bias are separate: those of a network that has not
  // been initialised are zero, and so would be every correct and many an incorrect result.
  PlanTrial(Device&, const ConvolutionGraph&, const ConvolutionOperands&, void* workspace);

  // Why the plan is rejected; nothing where its results are correct. Throws DEVICE_LOST.
  std::optional<std::string> fault(ConvolutionPlan&);
  double milliseconds(ConvolutionPlan&);  // median of up to 5 runs

 private:
  void fill();
  void fill_bias();
  void spoil_results();
  std::optional<std::string> difference();
  bool keeps_not_a_number(ConvolutionPlan&);

  Device& device_;
  const ConvolutionGraph graph_;
  ConvolutionOperands operands_;
  void* const workspace_;
  std::unique_ptr<Memory> memory_;
  void *weights_, *bias_, *scratch_, *check_;
};

}  // namespace vggnet::cuda
