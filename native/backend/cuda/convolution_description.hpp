#pragma once
// What cuDNN makes of a ConvolutionGraph. The headers of cuDNN's frontend take most of a minute to compile: only the
// .cpp of this file includes them.
#include <vector>

#include "backend/cuda/convolution_graph.hpp"

namespace vggnet::cuda {

class BuiltPlan : public ConvolutionPlan {
 public:
  virtual int64_t workspace_bytes() const = 0;                // what it really uses
  virtual std::vector<uint8_t> serialized() const = 0;        // for Cudnn::restore
};

// fallback: what runs nearly everywhere, for graphs of which the first heuristics make nothing.
enum class Heuristics { first, fallback };

// Plans that fit a graph's demands, the most promising first.
class Proposals {
 public:
  virtual ~Proposals() = default;
  virtual int64_t count() const = 0;
  virtual std::string name(int64_t index) const = 0;               // cuDNN's engine and knobs
  virtual std::unique_ptr<BuiltPlan> build(int64_t index) = 0;     // a plan may outlive the proposals
};

// One cuDNN handle, or a card that is only described. All throw INTERNAL with cuDNN's message.
class Cudnn {
 public:
  virtual ~Cudnn() = default;
  virtual std::string version() const = 0;  // of cuDNN and of the frontend
  virtual std::unique_ptr<Proposals> propose(const ConvolutionGraph&, Heuristics) = 0;
  virtual std::unique_ptr<BuiltPlan> restore(const ConvolutionGraph&, const std::string& name,
                                             const std::vector<uint8_t>& serialized) = 0;
};

std::unique_ptr<Cudnn> open_cudnn(const Device&);

// Plans for a card that is not here; they build and do not run. The description is cuDNN's JSON.
std::unique_ptr<Cudnn> open_cudnn_without_card(const std::string& description, int compute_capability);

}  // namespace vggnet::cuda
