#pragma once
// What a network is asked and what it answers, as plain values in host memory. Each call owns its data.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "network/host_pool.hpp"
#include "tensor/tensor.hpp"

namespace vggnet {

// uint8: n h w c. float32: n c h w. `shape` is n c h w for both.
struct Images {
  DType dtype = DType::float32;
  Shape shape;
  HostBytes bytes;
  std::vector<uint8_t> flip;   // n, or empty: none is mirrored
  std::vector<float> shift;    // n c, or empty: 0
  std::string from;            // tensor that these are the values of; empty: the network's input
};

struct HostTensor {
  std::vector<int64_t> dimensions;
  std::vector<float> values;
};

struct ForwardCall {
  Images images;
  bool training = false, wants_image_gradient = false;
  std::vector<std::string> keep;
  bool only_kept = false;       // computes nothing after the last of `keep`, `cotangents_at` and `gradients_at`
  bool differentiates = false;  // evaluation mode, which `vjp` may follow
  std::set<std::string> cotangents_at, gradients_at;  // what `vjp` takes and answers
  int64_t first_image = 0;
};

struct ForwardAnswer {
  HostTensor output;  // empty with only_kept
  std::map<std::string, HostTensor> kept;
};

// From labels, or from a gradient that the user gives, with respect to the network's output.
struct BackwardCall {
  std::vector<int32_t> labels;
  HostTensor gradient;  // empty: from labels
  std::map<std::string, HostTensor> inject;
  bool accumulate = false;
  int64_t batch = 0;  // images over which the loss is averaged; 0: those of this call
};

struct LossAnswer {
  double loss = 0;
  int64_t correct = 0, correct5 = 0;
};

// Of a step of the whole group, where there is one.
struct StepAnswer {
  LossAnswer loss;
  int64_t images = 0;  // of the whole batch; without any, nothing was changed
  bool stops = false;  // a rank of the group has asked for it
  std::vector<std::string> notes;  // of all ranks, in their order
};

struct BackwardAnswer {
  LossAnswer loss;
  HostTensor image_gradient;  // empty where it was not asked for
};

// Gradients of tensors and images, of the sum over the kept tensors of their products with these.
struct VjpCall {
  std::map<std::string, HostTensor> cotangents;
  bool guided = false;  // AtTensors::guided
};

struct VjpAnswer {
  std::map<std::string, HostTensor> gradients;
  HostTensor image_gradient;  // empty where it was not asked for
};

struct UpdateCall {
  float rate = 0, momentum = 0, decay = 0;
  std::map<std::string, float> rates;  // multiplier by layer
};

struct StepCall {
  Images images;
  std::vector<int32_t> labels;
  int64_t micro_batch = 0;  // 0: all at once
  bool stops = false;       // tells the other ranks of the group that this one wants to end after the step
  std::string note;         // for the other ranks
  UpdateCall update;
};

struct StageTime {
  std::string name;
  double forward_ms, backward_ms;
  int64_t multiply_adds;
};

// INVALID_ARGUMENT or SHAPE_MISMATCH unless there is one score for each class, and a label from 0 to classes - 1 for
// each image.
void check_labels(const std::vector<int32_t>&, const Shape& logits, const Shape& images);

// NOT_FINITE naming `what` and the index of the first value that is NaN or infinite; of images its pixel.
void check_finite(const std::string& what, const float* values, int64_t count);
void check_finite(const Images&);
void check_shift(const Images&);

// SHAPE_MISMATCH naming `what` unless it holds as many values for as many images.
void check_size(const std::string& what, const HostTensor& given, const Shape& wanted);

}  // namespace vggnet
