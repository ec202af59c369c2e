#pragma once
// Runs plans on random numbers, checks the results against samples computed in double, and times them.
#include <optional>

#include "backend/cuda/convolution_graph.hpp"

namespace vggnet::cuda {

struct TrialResult {
  std::string fault;            // why the plan is rejected; empty where its results are correct
  std::optional<double> error;  // relative, of the sample; where it is finite
  std::optional<double> ms;
};

class PlanTrial {
 public:
  // Fills x, dy and mask where the graph reads them. Weights and bias are separate: those of a network that has not
  // been initialised are zero, and so would be every correct and many an incorrect result.
  PlanTrial(Device&, const ConvolutionGraph&, const ConvolutionOperands&, void* workspace);

  // Both throw DEVICE_LOST; any other error is the plan's fault.
  TrialResult check(ConvolutionPlan&);  // after one run
  TrialResult time(ConvolutionPlan&);   // after several, of which `ms` is the median

  const ConvolutionGraph& graph() const { return graph_; }

 private:
  struct Result {  // what the graph writes, besides sums
    Element element;
    void* data;
    int64_t count;
  };

  void fill();
  void fill_bias();
  Result result() const;
  template <class Calls>
  TrialResult attempt(const Calls&);
  template <class T>
  T downloaded(const void* data);
  void check_results(TrialResult&);  // as they lie
  bool keeps_not_a_number(ConvolutionPlan&);
  double milliseconds(ConvolutionPlan&);

  Device& device_;
  const ConvolutionGraph graph_;
  ConvolutionOperands operands_;
  void* const workspace_;
  std::unique_ptr<Memory> memory_;
  void *weights_, *bias_, *scratch_, *check_;
  int32_t* flag_;
};

}  // namespace vggnet::cuda
