#include "backend/cpu/sgd.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kChunk = 1 << 14;

struct Rule {
  float rate, momentum, decay;
};

VGGNET_INLINE float next_velocity(float w, float v, float g, Rule rule) {
  return rule.momentum * v - rule.rate * (g + rule.decay * w);
}

VGGNET_VECTOR void descend(float* __restrict w, float* __restrict v, const float* __restrict g, Rule rule,
                           int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    v[i] = next_velocity(w[i], v[i], g[i], rule);
    w[i] += v[i];
  }
}

// Whether gradients, and the weights that they would lead to, are finite: a weight that overflows here would be lost.
VGGNET_VECTOR int32_t stays_finite(const float* w, const float* v, const float* g, Rule rule, int64_t count) {
  int32_t bad = 0;
#pragma omp simd reduction(| : bad)
  for (int64_t i = 0; i < count; ++i) {
    const float reached = w[i] + next_velocity(w[i], v[i], g[i], rule);
    bad |= reached - reached != 0.0f;  // not finite: NaN
    bad |= g[i] - g[i] != 0.0f;
  }
  return bad == 0;
}

}  // namespace

void update(const std::vector<Segment>& segments, const Arenas& arenas, const Controls& controls, Results& results) {
  const auto rule_of = [&](const Segment& segment) {
    return Rule{controls.rate * segment.rate, controls.momentum, controls.decay * segment.decay};
  };
  int32_t bad = results.not_finite || !std::isfinite(results.loss);
#pragma omp parallel reduction(| : bad)
  for (const Segment& segment : segments) {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < segment.count; i += kChunk) {
      const int64_t at = segment.offset + i;
      bad |= !stays_finite(arenas.parameters + at, arenas.velocity + at, arenas.gradients + at, rule_of(segment),
                           std::min(kChunk, segment.count - i));
    }
  }
  results.not_finite = bad;
  if (bad) return;
#pragma omp parallel
  for (const Segment& segment : segments) {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < segment.count; i += kChunk) {
      const int64_t at = segment.offset + i;
      descend(arenas.parameters + at, arenas.velocity + at, arenas.gradients + at, rule_of(segment),
              std::min(kChunk, segment.count - i));
    }
  }
}

}  // namespace vggnet::cpu
