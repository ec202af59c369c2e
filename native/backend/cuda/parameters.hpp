#pragma once
// Weights and biases as the card stores them: convolution weights k r s c, linear weights [outputs][r s c], both with
// outputs and channels padded to eights by zeros.
#include "backend/cuda/device.hpp"
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

int64_t stored_count(const Parameter&);
void store(const Parameter&, const float* logical, float* stored);
void load(const Parameter&, const float* stored, float* logical);

// The block of parameters: float32, and after them, where stages compute in bfloat16, a copy of each in the same order.
class ParameterBlock {
 public:
  explicit ParameterBlock(Precision precision) : copies_(precision == Precision::bf16) {}

  int64_t bytes(int64_t count) const;
  std::unique_ptr<Memory> allocate(Device&, int64_t count);

  // What a stage computes with: the copy of a parameter, or the parameter itself.
  const void* operand(const float* parameter) const;
  bfloat16* copies() const;  // null where there are none
  // By the host. Whether it lies in the block, and copies are to be made again.
  bool written(const void* data);
  int64_t count() const { return count_; }
  void refresh(Device&);           // makes them

 private:
  bool copies_, stale_ = false;
  float* parameters_ = nullptr;
  int64_t count_ = 0;
};

// The gradients that are complete before the backward pass ends. It goes from the last layer to the first, and the arena is in
// the layers' order, so they are its end. Known within one run only: what the next one does with them is not known.
class CompleteGradients {
 public:
  explicit CompleteGradients(Device* device) : device_(device) {}

  void in_run(const std::function<void()>& calls);
  void begin_at(const float* gradient);  // by a stage: from here on no call but the update's uses these
  // The parts of an update's segments whose gradients are complete since Device::fork, and the others.
  struct Parts {
    std::vector<Segment> complete, others;
  };
  Parts parts(const std::vector<Segment>&, const float* gradients) const;

 private:
  Device* const device_;
  bool running_ = false;
  const float* first_ = nullptr;  // null: none
};

}  // namespace vggnet::cuda
