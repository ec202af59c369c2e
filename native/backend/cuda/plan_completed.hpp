#pragma once
#include "backend/cuda/convolution_description.hpp"

namespace vggnet::cuda {

// A plan of cuDNN's for an alternative, and our kernels for what it leaves of the graph that is wanted.
class CompletedPlan final : public ConvolutionPlan {
 public:
  CompletedPlan(Device&, const ConvolutionGraph& wanted, const Alternative&, std::unique_ptr<BuiltPlan>);

  const std::string& name() const override { return name_; }
  void run(const ConvolutionOperands&, void* workspace) override;

  const char* alternative() const { return alternative_.name; }
  const BuiltPlan& built() const { return *plan_; }

 private:
  void finish_output(const ConvolutionOperands&) const;
  void finish_input_gradient(const ConvolutionOperands&) const;

  Device& device_;
  const ConvolutionGraph wanted_;
  const Alternative alternative_;
  const std::unique_ptr<BuiltPlan> plan_;
  const std::string name_;
};

}  // namespace vggnet::cuda
