#pragma once
// From layers and an input shape to stages and the tensors between them. Pure: no device, no memory.
#include <set>
#include <string>
#include <vector>

#include "backend/backend.hpp"

namespace vggnet {

struct PlanOptions {
  DType images = DType::float32;
  bool training = false, exact = false;
  bool differentiates = false;  // evaluation mode, and a backward pass for gradients of tensors, but of no parameters
  bool wants_image_gradient = false;
  std::string from;               // tensor that the images are the values of; empty: the network's input
  std::vector<std::string> keep;  // tensors that must exist and stay until the end of the run
  bool only_kept = false;         // ends with the last tensor of `keep`
  std::set<std::string> gradients_at;  // of `keep`: where the gradient is wanted too; with `differentiates`
  std::set<std::string> frozen;   // layers whose parameters do not learn

  bool has_backward() const { return training || differentiates; }
  bool operator==(const PlanOptions&) const = default;
};

struct PlannedTensor {
  std::string name;
  Shape shape;
  Storage storage;
  bool rectified = false;  // every value is >= 0 and came out of a ReLU
  float mask_scale = 1;    // 1 / (1 - p) where a dropout is joined to that ReLU
  bool kept = false;
  // Its gradient arrives unmasked though it is rectified: it is wanted here or at the tensor that was pooled.
  bool gradient_unmasked = false;
};

struct PlannedStage {
  Layer layer;
  int input, output;       // indices of tensors; -1: the caller's images
  Shape input_shape;
  Context context;
  std::string parameters;  // name of the layer that owns weight and bias; empty: none
  bool in_backward = false;
};

struct Plan {
  PlanOptions options;
  std::vector<PlannedStage> stages;  // in training the last one is the loss, if there is one score for each class
  std::vector<PlannedTensor> tensors;
  int logits = -1;           // the last tensor: the network's output, but for `only_kept`

  int tensor(const std::string& name) const;  // -1: there is none
  bool has_loss() const;
  bool after_linear(int tensor) const;       // output of a linear layer or of a later one
};

// Throws SHAPE_MISMATCH; INVALID_ARGUMENT for an unknown name in `keep` or `from`, and in training where a layer below `from`
// is not frozen.
Plan make_plan(const std::vector<Layer>&, const Shape& images, const PlanOptions&);

}  // namespace vggnet
