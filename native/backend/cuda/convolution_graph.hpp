#pragma once
// Convolutions as cuDNN graphs: what is fused with what, which plan runs it, and how that was chosen.
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/device.hpp"
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

enum class Direction { forward, input_gradient, weight_gradient };

// Stride 1. All tensors n h w c with c and k padded; weights k r s c. Biases, their gradients and weight gradients are
// float32, the rest elements of the precision.
struct ConvolutionGraph {
  Direction direction;
  int64_t n, c, h, w;           // of the input
  int64_t k, kernel_h, kernel_w, padding;
  Precision precision;
  bool bias = false, relu = false;      // forward: y = relu(conv(x) + bias)
  bool mask = false;                    // input gradient: only where mask > 0 ...
  float mask_scale = 1;                 // ... and times this
  bool sums_gradient = false;           // input gradient: and its sum over n, h, w
  bool deterministic = false, exact = false;  // no atomics; no Winograd or Fourier transform

  int64_t out_h() const { return h + 2 * padding - kernel_h + 1; }
  int64_t out_w() const { return w + 2 * padding - kernel_w + 1; }
  std::string text() const;  // names it among all others, for messages and caches
};

// A graph for cuDNN that does all of what is wanted, or a part and our kernels do the rest.
struct Alternative {
  const char* name;  // of an input gradient "fused", "mask" (cuDNN does not sum), "plain"; else "fused", "bias", "plain"
  ConvolutionGraph graph;
  bool last_resort = false;  // only where those before it have no plan; all others are timed against each other
};

std::vector<Alternative> alternatives_of(const ConvolutionGraph& wanted);

// Null where the graph has no such tensor.
struct ConvolutionOperands {
  const void *x = nullptr, *weights = nullptr, *dy = nullptr, *mask = nullptr;
  const void* bias = nullptr;                    // k elements of the precision
  void *y = nullptr, *dx = nullptr;
  float *dw = nullptr;                           // overwritten
  float *sums = nullptr;                         // c; overwritten
  void *partial = nullptr;                       // with sums: scratch of partial_sums_bytes(n h w, c)
};

// Scratch of any plan of this graph, in bytes: a cap, so that memory can be planned before plans are chosen.
int64_t workspace_bytes(const ConvolutionGraph&);

class ConvolutionPlan {
 public:
  virtual ~ConvolutionPlan() = default;
  virtual const std::string& name() const = 0;  // cuDNN's engine and knobs
  virtual void run(const ConvolutionOperands&, void* workspace) = 0;
};

// The plans of one network's graphs.
class ConvolutionPlans {
 public:
  virtual ~ConvolutionPlans() = default;
  // Chosen once for each graph among its alternatives and all that cuDNN offers for them, by time, and checked in
  // numbers; kept on disk. Deterministic graphs: the first that is right. NaN passes a ReLU. Throws INTERNAL where no
  // plan is right, and DISPOSED when the process ends meanwhile. The operands are used for the trial runs: what the
  // graph writes is lost, and x, dy and mask are filled with random numbers; weights and bias are only read.
  virtual ConvolutionPlan& choose(const ConvolutionGraph&, const ConvolutionOperands&, void* workspace) = 0;
};

std::unique_ptr<ConvolutionPlans> make_convolution_plans(Device&, const std::atomic<bool>* ending);

}  // namespace vggnet::cuda
