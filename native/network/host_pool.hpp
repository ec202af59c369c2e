#pragma once
// Memory of the host for what is sent to a device and fetched from it. Blocks are used again: while the device works
// nothing is allocated, page-locked or given back to the system.
#include <memory>
#include <mutex>
#include <vector>

#include "backend/backend.hpp"

namespace vggnet {

class HostPool : public std::enable_shared_from_this<HostPool> {
 public:
  explicit HostPool(Backend&);

  // A block of at least `bytes`, not zero. Any thread, while the backend lives; the block may outlive it.
  std::shared_ptr<Memory> take(int64_t bytes);

 private:
  void give_back(std::unique_ptr<Memory>);

  Backend& backend_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Memory>> free_;  // the one given back last at the end
};

// Bytes at the start of a block.
struct HostBytes {
  std::shared_ptr<Memory> memory;
  int64_t count = 0;

  const uint8_t* data() const { return memory ? static_cast<const uint8_t*>(memory->data()) : nullptr; }
};

}  // namespace vggnet
