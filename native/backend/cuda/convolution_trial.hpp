#pragma once
// Plans put to the test: on random numbers, against samples computed in double.
#include <optional>

#include "backend/cuda/convolution_graph.hpp"

namespace vggnet::cuda {

class ConvolutionTrial {
 public:
  // Fills x, dy and mask where the graph reads them. Weights and bias are the trial's own: those of a network that has
  // not been initialised are zero, and so would be every right and many a wrong result.
  ConvolutionTrial(Device&, const ConvolutionGraph&, const ConvolutionOperands&, void* workspace);

  // What is wrong with the plan; nothing where it is right. Throws DEVICE_LOST.
  std::optional<std::string> fault(ConvolutionPlan&);
  double milliseconds(ConvolutionPlan&);  // of one run, the median of some

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
