#pragma once
// The reference by which a convolution's plan is checked before it may be used: some elements of what it wrote, among
// them those at edges and corners, computed again in double from the operands. Equal graphs give equal samples.
#include "backend/cuda/convolution_graph.hpp"
#include "backend/cuda/kernels/random.hpp"  // fill_random, for trying plans

namespace vggnet::cuda {

// Over the elements looked at. NaN where something was not finite: compare as !(difference <= bound).
struct Check {
  double difference, reference;  // sums of squares: of written - reference, and of reference
  int64_t not_finite;            // elements written that are not finite
};

int64_t check_scratch_bytes(const ConvolutionGraph&);
int64_t checked_elements(const ConvolutionGraph&);  // that check_samples looks at

// The graph's c and k are padded counts. `result` lies in the device's memory and is overwritten.
// Looks at y, dx or dw. Bias and weights are read as they are: forward rounds nothing on the way but y itself.
void check_samples(Stream, const ConvolutionGraph&, const ConvolutionOperands&, void* scratch, Check* result);
// Looks at all of `sums`, against the sum of the dx that was written. Only where sums_gradient.
void check_sums(Stream, const ConvolutionGraph&, const ConvolutionOperands&, void* scratch, Check* result);

}  // namespace vggnet::cuda
