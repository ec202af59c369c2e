#include "backend/cpu/sgd.hpp"

#include <algorithm>

#include "backend/cpu/elements.hpp"
#include "backend/cpu/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kChunk = 1 << 14;

struct Rule {
  float rate, momentum, decay;
};

VGGNET_VECTOR void descend(float* __restrict w, float* __restrict v, const float* __restrict g, Rule rule,
                           int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    v[i] = rule.momentum * v[i] - rule.rate * (g[i] + rule.decay * w[i]);
    w[i] += v[i];
  }
}

bool gradients_finite(const std::vector<Segment>& segments, const float* gradients) {
  for (const Segment& segment : segments)
    if (!all_finite(gradients + segment.offset, segment.count)) return false;
  return true;
}

}  // namespace

void update(const std::vector<Segment>& segments, const Arenas& arenas, const Controls& controls, Results& results) {
  const bool finite = gradients_finite(segments, arenas.gradients);
  results.not_finite = finite ? 0 : 1;
  if (!finite) return;
#pragma omp parallel
  for (const Segment& segment : segments) {
    const Rule rule = {controls.rate * segment.rate, controls.momentum, controls.decay * segment.decay};
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < segment.count; i += kChunk) {
      const int64_t at = segment.offset + i;
      descend(arenas.parameters + at, arenas.velocity + at, arenas.gradients + at, rule,
              std::min(kChunk, segment.count - i));
    }
  }
}

}  // namespace vggnet::cpu
