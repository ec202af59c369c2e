#pragma once
// A plan prepared on a device: stages with fixed shapes and, once bound, fixed addresses.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "network/calls.hpp"
#include "network/memory.hpp"
#include "network/parameters.hpp"
#include "network/plan.hpp"

namespace vggnet {

struct NamedGradient {
  int tensor;
  const float* nchw;
};

// What a backward pass does at tensors besides running the stages.
struct AtTensors {
  std::vector<NamedGradient> injected = {};  // added to the gradient there
  std::function<void(int tensor)> wanted = nullptr;  // called where PlanOptions::gradients_at has the tensor, as its gradient arrives
  bool guided = false;  // negative gradients do not pass a ReLU (guided backpropagation)
  std::function<void(const std::string& layer)> passed = nullptr;  // called where the gradients of a layer's parameters are there
};

class Execution {
 public:
  // Throws INVALID_ARGUMENT for more images than the device takes in one tensor.
  Execution(Backend&, Plan, const std::atomic<bool>* ending = nullptr);

  const Plan& plan() const { return plan_; }
  const Shape& images() const { return plan_.stages.front().input_shape; }
  const Stage& stage(size_t index) const { return *stages_[index]; }
  const std::vector<Lifetime>& lifetimes() const { return lifetimes_; }
  int64_t arena_bytes() const { return arena_bytes_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }
  int64_t largest_batch() const { return largest_batch_; }  // by the size of tensors, whatever the memory
  int64_t prepared_bytes() const;

  // Fixes every address; nothing happens where they are fixed already.
  void bind(void* arena, Parameters&, const Controls*, Results*);
  bool is_bound(const void* arena, Parameters&) const;
  const Feed& feed() const { return feed_; }
  const Tensor& tensor(int index) const { return tensors_[index]; }
  const Tensor& gradient(int index) const { return gradients_[index]; }
  const float* image_gradient() const { return image_gradient_; }  // n c h w

  void refresh(uint64_t parameters_version);
  void forward();
  void loss();      // results, and the gradient of the logits
  void backward(Gradients, const AtTensors& = {});

  // Runs forward, and backward where forward is sound, stage by stage; the first stage whose output or gradient is
  // not finite, as text, or nothing.
  std::optional<std::string> first_not_finite();
  std::vector<StageTime> profile();

  // One for each sequence of calls that the network asks the device to run; emptied when addresses change.
  struct Recordings {
    std::unique_ptr<Recording> forward, loss, backward, accumulate, part, accumulate_part, step;
    std::vector<Segment> updated;  // by `step`, which holds an update too
  };
  Recordings recordings;

 private:
  void limit_batch();
  void prepare();
  void lay_out();
  int live(const std::string& name, int64_t bytes, int first, int last);
  int live_gradient(int tensor, int first);
  int backward_event(size_t stage) const { return static_cast<int>(2 * plan_.stages.size() - 1 - stage); }
  int last_event() const { return static_cast<int>(2 * plan_.stages.size()); }
  size_t layers() const { return stages_.size() - (plan_.has_loss() ? 1 : 0); }  // stages but the loss
  void begin_event(int event);  // DISPOSED where the result is no longer needed; guards of a debug build
  void end_event(int event, size_t stage);
  void forward_stage(size_t);
  void backward_stage(size_t, Gradients);
  void gradient_arrives(int tensor, const AtTensors&);
  void* at(void* arena, int lifetime) const;

  Backend& backend_;
  Plan plan_;
  const std::atomic<bool>* ending_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<Lifetime> lifetimes_;
  // indices into lifetimes_; -1: not there
  std::vector<int> tensor_life_, gradient_life_;
  std::vector<std::vector<int>> saved_life_;
  int images_life_ = -1, flip_life_ = -1, shift_life_ = -1, labels_life_ = -1, workspace_life_ = -1,
      image_gradient_life_ = -1;
  int64_t arena_bytes_ = 0, workspace_bytes_ = 0, largest_batch_ = 0;

  void* arena_ = nullptr;  // as bound
  float* gradient_arena_ = nullptr;
  uint64_t version_ = 0;
  bool from_labels_ = false;  // where the gradient of the logits came from
  Feed feed_;
  std::vector<Tensor> tensors_, gradients_;
  float* image_gradient_ = nullptr;
};

}  // namespace vggnet
