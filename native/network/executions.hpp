#pragma once
// The plans of one network, prepared: a cache that shares one arena. The arena grows to the largest plan asked for.
#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "network/execution.hpp"

namespace vggnet {

class Executions {
 public:
  // `memory_limit` in bytes; 0: what the device has. `ending`: NetworkOptions.
  Executions(Backend&, const std::vector<Layer>&, Parameters&, int64_t memory_limit, const std::atomic<bool>* ending);

  // Prepared, bound and refreshed. Throws OUT_OF_MEMORY with the bytes and the largest batch that fits.
  // Another plan's tensors are lost.
  Execution& get(const Shape& images, const PlanOptions&);
  // The same for these images or more: where the backend prefers shapes that it knows, a smaller batch takes the plan of a
  // larger one, until it has come kMostPadded times in a row.
  Execution& at_least(const Shape& images, const PlanOptions&);
  // Whether get and at_least would only refresh what is there.
  bool is_prepared(const Shape& images, const PlanOptions&) const;
  bool is_prepared_at_least(const Shape& images, const PlanOptions&) const;

  int64_t held_bytes() const;
  Controls* controls() const { return static_cast<Controls*>(run_block_->data()); }
  Results* results() const { return reinterpret_cast<Results*>(controls() + 1); }

 private:
  static auto found(auto& executions, const Shape&, const PlanOptions&);
  Execution& cached(const Shape&, const PlanOptions&);
  int times_asked(const Shape&, const PlanOptions&) const;
  Shape padded(const Shape&, const PlanOptions&, int times_asked) const;
  const Execution* smallest_known(const Shape&, const PlanOptions&) const;
  bool within_limit(const Execution&) const;
  void make_room(const Execution&);
  int64_t bytes_beside_arena(const PlanOptions&) const;
  int64_t largest_batch(const Execution&, int64_t arena_limit);
  [[noreturn]] void refuse(const Execution&, int64_t arena_limit);

  Backend& backend_;
  const std::vector<Layer>& layers_;
  Parameters& parameters_;
  int64_t memory_limit_;
  const std::atomic<bool>* ending_;
  std::unique_ptr<Memory> run_block_;  // Controls, then Results, on the device
  std::unique_ptr<Memory> arena_;
  std::list<std::unique_ptr<Execution>> executions_;  // the one used last in front
  Shape asked_{};  // by at_least: what it was asked for last, and how many times in a row
  PlanOptions asked_options_;
  int times_asked_ = 0;
};

}  // namespace vggnet
