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
  bool is_prepared(const Shape& images, const PlanOptions&) const;  // and bound: get() only refreshes it

  int64_t held_bytes() const;
  Controls* controls() const { return static_cast<Controls*>(run_block_->data()); }
  Results* results() const { return reinterpret_cast<Results*>(controls() + 1); }

 private:
  static auto found(auto& executions, const Shape&, const PlanOptions&);
  Execution& cached(const Shape&, const PlanOptions&);
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
};

}  // namespace vggnet
