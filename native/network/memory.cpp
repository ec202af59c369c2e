#include "network/memory.hpp"

#include <algorithm>
#include <numeric>

#include "tensor/error.hpp"
#include "tensor/shape.hpp"

namespace vggnet {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 60;  // sums of two do not wrap

bool overlap(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

int64_t end_of(const Lifetime& life) { return round_up(life.offset + life.bytes, kAlignment); }

}  // namespace

int64_t assign_offsets(std::vector<Lifetime>& lives) {
  std::vector<Lifetime*> order;
  for (Lifetime& life : lives) order.push_back(&life);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });

  int64_t arena = 0;
  std::vector<Lifetime*> placed;  // by offset
  for (Lifetime* life : order) {
    int64_t offset = 0;
    for (const Lifetime* other : placed) {
      if (!overlap(*life, *other)) continue;
      if (offset + life->bytes <= other->offset) break;  // the gap before `other` is wide enough
      offset = std::max(offset, end_of(*other));
    }
    if (offset > kMostBytes || life->bytes > kMostBytes)
      throw Error(kOutOfMemory, "the plan of this network takes more than " + std::to_string(kMostBytes) + " bytes");
    life->offset = offset;
    arena = std::max(arena, end_of(*life));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), life,
                                   [](auto* a, auto* b) { return a->offset < b->offset; }),
                  life);
  }
  return arena;
}

}  // namespace vggnet
