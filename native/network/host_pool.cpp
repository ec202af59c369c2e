#include "network/host_pool.hpp"

#include <algorithm>

namespace vggnet {
namespace {

// A step and an evaluation in turn have three batches and three answers under way.
constexpr size_t kMostFree = 6;

// A smaller last batch takes the block of a full one; a number does not take that of a batch.
bool suits(int64_t held, int64_t wanted) { return held >= wanted && held <= std::max<int64_t>(4 * wanted, 4096); }

}  // namespace

// What is given back must not need memory.
HostPool::HostPool(Backend& backend) : backend_(backend) { free_.reserve(kMostFree + 1); }

std::shared_ptr<Memory> HostPool::take(int64_t bytes) {
  std::unique_ptr<Memory> block;
  {
    std::lock_guard lock(mutex_);
    auto best = free_.end();
    for (auto each = free_.begin(); each != free_.end(); ++each)
      if (suits((*each)->bytes(), bytes) && (best == free_.end() || (*each)->bytes() < (*best)->bytes())) best = each;
    if (best != free_.end()) {
      block = std::move(*best);
      free_.erase(best);
    }
  }
  if (!block) block = backend_.allocate_host(bytes);
  return {block.release(), [pool = shared_from_this()](Memory* used) { pool->give_back(std::unique_ptr<Memory>(used)); }};
}

void HostPool::give_back(std::unique_ptr<Memory> block) {
  std::unique_ptr<Memory> oldest;  // freed without the lock
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(block));
  if (free_.size() <= kMostFree) return;
  oldest = std::move(free_.front());
  free_.erase(free_.begin());
}

}  // namespace vggnet
