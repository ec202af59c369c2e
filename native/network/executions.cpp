#include "network/executions.hpp"

#include <algorithm>

#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr int kMostPadded = 8;                                // then the batch is not an odd one, but the usual one
constexpr size_t kMostPlans = 16;                             // feature taps by many names make many plans
constexpr int64_t kMostPreparedBytes = int64_t{2} << 30;      // what stages hold beside the arena

int64_t prepared_bytes(const std::list<std::unique_ptr<Execution>>& executions) {
  int64_t bytes = 0;
  for (const auto& execution : executions) bytes += execution->prepared_bytes();
  return bytes;
}

}  // namespace

Executions::Executions(Backend& backend, const std::vector<Layer>& layers, Parameters& parameters, int64_t memory_limit,
                       const std::atomic<bool>* ending)
    : backend_(backend),
      layers_(layers),
      parameters_(parameters),
      memory_limit_(memory_limit),
      ending_(ending),
      run_block_(backend.allocate(sizeof(Controls) + sizeof(Results))) {}

auto Executions::found(auto& executions, const Shape& images, const PlanOptions& options) {
  return std::ranges::find_if(executions, [&](const auto& execution) {
    return execution->images() == images && execution->plan().options == options;
  });
}

Execution& Executions::get(const Shape& images, const PlanOptions& options) {
  Execution& execution = cached(images, options);
  make_room(execution);
  execution.bind(arena_->data(), parameters_, controls(), results());
  execution.refresh(parameters_.version());
  return execution;
}

Execution& Executions::at_least(const Shape& images, const PlanOptions& options) {
  times_asked_ = times_asked(images, options) + 1;
  asked_ = images;
  asked_options_ = options;
  return get(padded(images, options, times_asked_), options);
}

Shape Executions::padded(const Shape& images, const PlanOptions& options, int times_asked) const {
  const bool pads = backend_.prefers_known_shapes() && times_asked <= kMostPadded;
  const Execution* known = pads ? smallest_known(images, options) : nullptr;
  return known ? known->images() : images;
}

// Of those that need no more memory than there is: a plan that was refused stays in the cache.
const Execution* Executions::smallest_known(const Shape& images, const PlanOptions& options) const {
  const Execution* best = nullptr;
  for (const auto& execution : executions_) {
    const Shape& known = execution->images();
    if (known.n < images.n || known.with_images(images.n) != images || !(execution->plan().options == options)) continue;
    if (!arena_ || execution->arena_bytes() > arena_->bytes() || !within_limit(*execution)) continue;
    if (!best || known.n < best->images().n) best = execution.get();
  }
  return best;
}

bool Executions::within_limit(const Execution& execution) const {
  return memory_limit_ == 0 || bytes_beside_arena(execution.plan().options) + execution.arena_bytes() <= memory_limit_;
}

int Executions::times_asked(const Shape& images, const PlanOptions& options) const {
  return images == asked_ && options == asked_options_ ? times_asked_ : 0;
}

bool Executions::is_prepared(const Shape& images, const PlanOptions& options) const {
  const auto known = found(executions_, images, options);
  return known != executions_.end() && arena_ && (*known)->arena_bytes() <= arena_->bytes() &&
         (*known)->is_bound(arena_->data(), parameters_);
}

bool Executions::is_prepared_at_least(const Shape& images, const PlanOptions& options) const {
  return is_prepared(padded(images, options, times_asked(images, options) + 1), options);
}

Execution& Executions::cached(const Shape& images, const PlanOptions& options) {
  const auto known = found(executions_, images, options);
  if (known != executions_.end()) {
    executions_.splice(executions_.begin(), executions_, known);
  } else {
    executions_.push_front(std::make_unique<Execution>(backend_, make_plan(layers_, images, options), ending_));
    while (executions_.size() > 1 &&
           (executions_.size() > kMostPlans || prepared_bytes(executions_) > kMostPreparedBytes))
      executions_.pop_back();
  }
  return *executions_.front();
}

int64_t Executions::held_bytes() const { return (arena_ ? arena_->bytes() : 0) + prepared_bytes(executions_); }

int64_t Executions::bytes_beside_arena(const PlanOptions& options) const {
  int64_t bytes = parameters_.arena_bytes(Role::parameter);
  if (options.training || parameters_.allocated(Role::gradient))
    bytes += parameters_.arena_bytes(Role::gradient) + parameters_.arena_bytes(Role::velocity);
  return bytes;
}

void Executions::make_room(const Execution& execution) {
  const PlanOptions& options = execution.plan().options;
  const int64_t held = arena_ ? arena_->bytes() : 0;
  if (!within_limit(execution)) refuse(execution, memory_limit_ - bytes_beside_arena(options));
  if (execution.arena_bytes() <= held) return;

  int64_t to_come = 0;  // gradients and velocity, before the first training step
  for (Role role : {Role::gradient, Role::velocity})
    if (options.training && !parameters_.allocated(role)) to_come += parameters_.arena_bytes(role);
  const int64_t limit = backend_.available_bytes() + held - to_come;
  if (execution.arena_bytes() > limit) refuse(execution, limit);
  arena_ = nullptr;
  arena_ = backend_.allocate(execution.arena_bytes());
}

int64_t Executions::largest_batch(const Execution& execution, int64_t arena_limit) {
  const Plan& plan = execution.plan();
  const Shape images = execution.images();
  const auto arena_of = [&](int64_t batch) {
    return Execution(backend_, make_plan(layers_, images.with_images(batch), plan.options)).arena_bytes();
  };
  const int64_t one = arena_of(1);
  if (one > arena_limit || images.n == 1) return 0;
  // Very nearly linear in the batch: estimate, then settle.
  const double each = static_cast<double>(execution.arena_bytes() - one) / static_cast<double>(images.n - 1);
  int64_t batch = 1 + static_cast<int64_t>(static_cast<double>(arena_limit - one) / each);
  batch = std::clamp<int64_t>(batch, 1, images.n - 1);
  while (batch > 1 && arena_of(batch) > arena_limit) --batch;
  while (batch + 1 < images.n && arena_of(batch + 1) <= arena_limit) ++batch;
  return batch;
}

void Executions::refuse(const Execution& execution, int64_t arena_limit) {
  const PlanOptions& options = execution.plan().options;
  const Shape images = execution.images();
  const int64_t beside = bytes_beside_arena(options);
  const int64_t largest = largest_batch(execution, arena_limit);
  throw Error(kOutOfMemory,
              std::string(options.training ? "training" : "evaluating") + " a batch of " + std::to_string(images.n) +
                  " images of " + std::to_string(images.h) + "x" + std::to_string(images.w) + " takes " +
                  std::to_string(beside + execution.arena_bytes()) + " bytes (" + std::to_string(execution.arena_bytes()) +
                  " for activations, " + std::to_string(beside) + " for parameters" +
                  (options.training ? ", gradients and velocity" : "") + "), but there is room for " +
                  std::to_string(std::max<int64_t>(0, arena_limit + beside)) + "; " +
                  (largest > 0 ? "the largest batch that fits is " + std::to_string(largest) +
                                     (options.training ? " (train and step compute a larger one in parts with microBatch)" : "")
                               : std::string("not even a batch of 1 fits")));
}

}  // namespace vggnet
