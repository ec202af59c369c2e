#include "backend/cuda/plan_completed.hpp"

#include "backend/cuda/kernels/elements.hpp"

namespace vggnet::cuda {

CompletedPlan::CompletedPlan(Device& device, const ConvolutionGraph& wanted, const Alternative& alternative,
                             std::unique_ptr<BuiltPlan> plan)
    : device_(device), wanted_(wanted), alternative_(alternative), plan_(std::move(plan)),
      name_(plan_->name() + (alternative.graph.text() == wanted.text() ? "" : std::string(" (") + alternative.name + ")")) {}

void CompletedPlan::run(const ConvolutionOperands& operands, void* workspace) {
  // cuDNN may add to the sums or overwrite them
  if (alternative_.graph.sums_gradient) device_.clear(operands.sums, 4 * wanted_.c);
  plan_->run(operands, workspace);
  if (wanted_.direction == Direction::forward) finish_output(operands);
  if (wanted_.direction == Direction::input_gradient) finish_input_gradient(operands);
}

void CompletedPlan::finish_output(const ConvolutionOperands& operands) const {
  const bool bias = wanted_.bias && !alternative_.graph.bias, relu = wanted_.relu && !alternative_.graph.relu;
  const Element element = element_of(wanted_.precision);
  const int64_t positions = wanted_.n * wanted_.out_h() * wanted_.out_w();
  void* const y = operands.y;
  if (bias) (relu ? add_bias_and_rectify : add_bias)(device_.stream(), element, y, element, operands.bias, positions, wanted_.k, y);
  else if (relu) rectify(device_.stream(), element, y, y, positions * wanted_.k);
}

void CompletedPlan::finish_input_gradient(const ConvolutionOperands& operands) const {
  const bool masks = wanted_.mask && !alternative_.graph.mask, sums = wanted_.sums_gradient && !alternative_.graph.sums_gradient;
  const Element element = element_of(wanted_.precision);
  const int64_t pixels = wanted_.n * wanted_.h * wanted_.w, c = wanted_.c;
  void* const dx = operands.dx;
  if (masks && sums)
    mask_and_sum_rows(device_.stream(), element, dx, operands.mask, wanted_.mask_scale, dx, pixels, c, operands.partial,
                      operands.sums);
  else if (masks)
    mask(device_.stream(), element, dx, operands.mask, wanted_.mask_scale, dx, pixels * c);
  else if (sums)
    sum_rows(device_.stream(), element, dx, pixels, c, Gradients::overwrite, operands.partial, operands.sums);
}

}  // namespace vggnet::cuda
