#include <cmath>

#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int kMostSegments = 64;  // in one launch: a kernel's arguments hold 4 KB
constexpr int64_t kQuad = 4;       // elements of an item

// Segments that are updated together, one after the other. Item i belongs to the last segment whose first item is not
// above i.
struct Table {
  int32_t segments = 0;
  int64_t items = 0;
  int64_t first[kMostSegments];  // items
  Segment of[kMostSegments];
};

struct Rule {
  float rate, momentum, decay;
};

struct Target {
  int64_t at;  // the item's first element in the arenas
  Rule rule;
};

VGGNET_HOST_DEVICE inline Target target_of(int64_t item, const Table& table, const Controls& controls) {
  int low = 0;
  for (int end = table.segments; end - low > 1;) {
    const int middle = (low + end) / 2;
    if (table.first[middle] <= item)
      low = middle;
    else
      end = middle;
  }
  const Segment& segment = table.of[low];
  return {segment.offset + (item - table.first[low]) * kQuad,
          {controls.rate * segment.rate, controls.momentum, controls.decay * segment.decay}};
}

struct Quad {
  float at[kQuad];
};

VGGNET_HOST_DEVICE inline Quad load_quad(const float* x) {
  const Words words = *reinterpret_cast<const Words*>(x);
  return {{float_of(words.at[0]), float_of(words.at[1]), float_of(words.at[2]), float_of(words.at[3])}};
}

VGGNET_HOST_DEVICE inline void store_quad(const Quad& x, float* y) {
  *reinterpret_cast<Words*>(y) = {{bits_of(x.at[0]), bits_of(x.at[1]), bits_of(x.at[2]), bits_of(x.at[3])}};
}

VGGNET_HOST_DEVICE inline float next_velocity(float w, float v, float g, const Rule& rule) {
  return rule.momentum * v - rule.rate * (g + rule.decay * w);
}

struct CheckResults {
  Results* results;
  VGGNET_HOST_DEVICE void operator()(int64_t) const {
    if (results->loss - results->loss != 0 || results->images_not_finite) results->not_finite = 1;
  }
};

// Of weights and velocities that the last update has left, this is a bound unless Seen says otherwise. kSafe is far enough
// from float32's largest number for rounding.
constexpr float kBound = 1e30f, kSafe = 1e38f;

VGGNET_HOST_DEVICE inline bool is_large(float x) { return !(fabsf(x) <= kBound); }

// Whether no weight within the bound overflows with this gradient; false for what is not finite. Each sum on the way to
// the weight is within kSafe.
VGGNET_HOST_DEVICE inline bool is_safe(float g, const Rule& rule) {
  const float slope = fabsf(g) + fabsf(rule.decay) * kBound;
  return slope <= kSafe && kBound + fabsf(rule.momentum) * kBound + fabsf(rule.rate) * slope <= kSafe;
}

// Whether gradients, and the weights that they would lead to, are finite: a weight that overflows here would be lost.
// Weights and velocities are read only where the bound does not tell: 4 bytes of a parameter, not 12.
struct FindOverflow {
  Table table;
  Arenas arenas;
  int64_t list;
  const Seen* seen;
  const Controls* controls;
  Results* results;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Target target = target_of(item, table, *controls);
    const Quad g = load_quad(arenas.gradients + target.at);
    bool safe = seen->segments == list && !seen->large;
    for (int i = 0; i < kQuad; ++i) safe = safe && is_safe(g.at[i], target.rule);
    if (safe) return;
    const Quad w = load_quad(arenas.parameters + target.at), v = load_quad(arenas.velocity + target.at);
    bool bad = false;
    for (int i = 0; i < kQuad; ++i)
      bad |= not_finite(w.at[i] + next_velocity(w.at[i], v.at[i], g.at[i], target.rule)) || not_finite(g.at[i]);
    if (bad) results->not_finite = 1;
  }
};

using Eight [[gnu::may_alias]] = uint64_t;  // bytes

struct Descend {
  Table table;
  Arenas arenas;
  bfloat16* copy;
  int64_t list;  // 0 where another table of it follows
  Seen* seen;
  const Controls* controls;
  const Results* results;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    if (results->not_finite) return;
    const Target target = target_of(item, table, *controls);
    Quad w = load_quad(arenas.parameters + target.at), v = load_quad(arenas.velocity + target.at);
    const Quad g = load_quad(arenas.gradients + target.at);
    bool large = false;
    for (int i = 0; i < kQuad; ++i) {
      v.at[i] = next_velocity(w.at[i], v.at[i], g.at[i], target.rule);
      w.at[i] += v.at[i];
      large = large || is_large(v.at[i]) || is_large(w.at[i]);
    }
    if (large) seen->large = 1;
    if (list && item == 0) seen->segments = list;
    store_quad(v, arenas.velocity + target.at);
    store_quad(w, arenas.parameters + target.at);
    if (copy)
      *reinterpret_cast<Eight*>(copy + target.at) = pack(w.at[0], w.at[1]) | uint64_t{pack(w.at[2], w.at[3])} << 32;
  }
};

std::vector<Table> tables_of(const std::vector<Segment>& segments) {
  std::vector<Table> tables;
  for (const Segment& segment : segments) {
    VGGNET_ASSERT(segment.offset % kQuad == 0 && segment.count % kQuad == 0);
    if (tables.empty() || tables.back().segments == kMostSegments) tables.emplace_back();
    Table& table = tables.back();
    table.first[table.segments] = table.items;
    table.of[table.segments++] = segment;
    table.items += segment.count / kQuad;
  }
  return tables;
}

}  // namespace

void check(Stream stream, const std::vector<Segment>& part, const Update& update) {
  for (const Table& table : tables_of(part))
    launch(stream, table.items,
           FindOverflow{table, update.arenas, update.list, update.seen, update.feed.controls, update.feed.results});
}

void descend(Stream stream, const std::vector<Segment>& all, const Update& update) {
  const std::vector<Table> tables = tables_of(all);
  launch(stream, 1, CheckResults{update.feed.results});
  for (const Table& table : tables)
    launch(stream, table.items,
           Descend{table, update.arenas, static_cast<bfloat16*>(update.copy), &table == &tables.back() ? update.list : 0,
                   update.seen, update.feed.controls, update.feed.results});
}

}  // namespace vggnet::cuda
