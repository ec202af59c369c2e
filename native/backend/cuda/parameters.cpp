#include "backend/cuda/parameters.hpp"

#include <algorithm>

#include "backend/cuda/kernels/elements.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

// visit(logical index, stored index) for each element: o i y x to o y x i.
template <class Visit>
void for_each_element(const Parameter& p, const Visit& visit) {
  const int64_t taps = p.kernel_h * p.kernel_w, stride = p.is_weight ? padded(p.channels) : 1;
  int64_t logical = 0;
  for (int64_t o = 0; o < p.outputs; ++o)
    for (int64_t i = 0; i < p.channels; ++i)
      for (int64_t tap = 0; tap < taps; ++tap) visit(logical++, (o * taps + tap) * stride + i);
}

}  // namespace

int64_t stored_count(const Parameter& p) {
  const int64_t each = p.is_weight ? p.kernel_h * p.kernel_w * padded(p.channels) : 1;
  return round_up(padded(p.outputs) * each, 16);
}

void store(const Parameter& p, const float* logical, float* stored) {
  std::fill_n(stored, stored_count(p), 0.0f);
  for_each_element(p, [&](int64_t from, int64_t to) { stored[to] = logical[from]; });
}

void load(const Parameter& p, const float* stored, float* logical) {
  for_each_element(p, [&](int64_t to, int64_t from) { logical[to] = stored[from]; });
}

int64_t ParameterBlock::bytes(int64_t count) const { return count * (copies_ ? 4 + int64_t{sizeof(bfloat16)} : 4); }

std::unique_ptr<Memory> ParameterBlock::allocate(Device& device, int64_t count) {
  VGGNET_ASSERT(count % 16 == 0);  // the copies begin where eight lanes may be read at once
  auto memory = device.allocate(bytes(count));
  parameters_ = static_cast<float*>(memory->data());
  count_ = count;
  stale_ = false;  // zero, as its copies are
  return memory;
}

bfloat16* ParameterBlock::copies() const {
  return copies_ ? reinterpret_cast<bfloat16*>(parameters_ + count_) : nullptr;
}

const void* ParameterBlock::operand(const float* parameter) const {
  if (!copies_) return parameter;
  VGGNET_ASSERT(parameter >= parameters_ && parameter < parameters_ + count_);
  return copies() + (parameter - parameters_);
}

bool ParameterBlock::written(const void* data) {
  const bool inside = data >= parameters_ && data < parameters_ + count_;
  stale_ = stale_ || inside;
  return inside;
}

void ParameterBlock::refresh(Device& device) {
  if (!copies_ || !stale_) return;
  convert(device.stream(), parameters_, Element::bfloat16, copies(), count_);
  stale_ = false;
}

void CompleteGradients::in_run(const std::function<void()>& calls) {
  struct Run {
    CompleteGradients& gradients;
    explicit Run(CompleteGradients& of) : gradients(of) { gradients.running_ = true; }
    ~Run() {
      gradients.running_ = false;
      gradients.first_ = nullptr;
    }
  } run(*this);
  calls();
}

void CompleteGradients::begin_at(const float* gradient) {
  if (!running_) return;
  device_->fork();
  first_ = gradient;
}

CompleteGradients::Parts CompleteGradients::parts(const std::vector<Segment>& segments, const float* gradients) const {
  if (!first_) return {{}, segments};
  const int64_t first = first_ - gradients;
  Parts parts;
  for (const Segment& segment : segments) {
    const int64_t end = segment.offset + segment.count, middle = std::clamp(first, segment.offset, end);
    if (middle > segment.offset) parts.others.push_back({segment.offset, middle - segment.offset, segment.rate, segment.decay});
    if (end > middle) parts.complete.push_back({middle, end - middle, segment.rate, segment.decay});
  }
  return parts;
}

}  // namespace vggnet::cuda
