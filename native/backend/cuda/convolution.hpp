#pragma once
// Which cuDNN graphs a convolution makes: pure, so that the check without a card builds exactly those that run.
#include <vector>

#include "backend/cuda/stages.hpp"

namespace vggnet::cuda {

struct ConvolutionGraphs {
  ConvolutionGraph forward;
  std::optional<ConvolutionGraph> weight_gradient, input_gradient;  // where the context wants them

  std::vector<ConvolutionGraph> all() const;
};

ConvolutionGraphs graphs_of(const Convolution&, const Shape& input, const Context&, const Setting&);

// A mask that the graph does not apply: because the gradient is scaled too, or because in float32 cuDNN then has nothing
// but its slowest engine.
inline bool masks_apart(const Context& context, const Setting& setting) {
  return context.mask_input && (context.mask_scale != 1 || setting.precision == Precision::float32);
}

}  // namespace vggnet::cuda
