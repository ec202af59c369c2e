#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vggnet {

// Something that needs `bytes` from event `first` to event `last`, both included.
struct Lifetime {
  std::string name;
  int64_t bytes;
  int first, last;
  int64_t offset = 0;  // filled by assign_offsets()
};

inline constexpr int64_t kAlignment = 256;  // what cuBLASLt wants of its scratch; oneDNN's Winograd needs 64

// Gives every lifetime an offset in one arena such that no two that live at the same event share a byte.
// Largest first, each at the lowest free offset. Returns the size of the arena in bytes. OUT_OF_MEMORY for more
// than 2^60 bytes.
int64_t assign_offsets(std::vector<Lifetime>&);

}  // namespace vggnet
