#pragma once
// Which cuDNN graphs a convolution makes: pure, so that the check without a card builds exactly those that run.
#include <optional>
#include <vector>

#include "backend/cuda/stages.hpp"

namespace vggnet::cuda {

struct ConvolutionGraphs {
  ConvolutionGraph forward;
  std::optional<ConvolutionGraph> weight_gradient, input_gradient;  // where the context wants them

  std::vector<ConvolutionGraph> all() const;
};

ConvolutionGraphs graphs_of(const Convolution&, const Shape& input, const Context&, const Setting&);

}  // namespace vggnet::cuda
