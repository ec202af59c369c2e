#include "backend/cpu/parameters.hpp"

#include <algorithm>

#include "backend/cpu/blocked.hpp"

namespace vggnet::cpu {
namespace {

// Where element (o, i, y, x) lies: o-part + part of the block of inputs + i % b * lane + (y, x) * step.
struct Layout {
  int64_t b = block(), inputs, taps;
  bool plain, linear;

  explicit Layout(const Parameter& p)
      : inputs(padded(p.channels)),
        taps(p.kernel_h * p.kernel_w),
        plain(p.reads_image && !p.linear && convolves_plain(p.channels, static_cast<int>(p.kernel_h))),
        linear(p.linear) {
    if (plain) inputs = p.channels;
  }

  int64_t of_output(int64_t o) const { return linear ? o * inputs * taps : o / b * inputs * taps * b + o % b; }
  int64_t of_inputs(int64_t block) const { return block * b * (plain ? b : linear ? taps : taps * b); }
  int64_t lane() const { return linear ? 1 : b; }
  int64_t step() const { return plain ? inputs * b : linear ? b : b * b; }
};

// visit(logical index, stored index) for each element.
template <class Visit>
void for_each_element(const Parameter& p, Visit visit) {
  const Layout layout(p);
#pragma omp parallel for schedule(static)
  for (int64_t o = 0; o < p.outputs; ++o) {
    int64_t logical = o * p.fan_in();
    for (int64_t i = 0; i < p.channels; i += layout.b) {
      const int64_t first = layout.of_output(o) + layout.of_inputs(i / layout.b), lanes = std::min(layout.b, p.channels - i);
      for (int64_t lane = 0; lane < lanes; ++lane) {
        int64_t stored = first + lane * layout.lane();
        for (int64_t tap = 0; tap < layout.taps; ++tap, ++logical, stored += layout.step()) visit(logical, stored);
      }
    }
  }
}

}  // namespace

bool convolves_plain(int64_t channels, int kernel) {
  return kernel == 3 && (channels == 3 || (channels == 1 && block() == 16));
}

int64_t stored_count(const Parameter& p) {
  const Layout layout(p);
  return round_up(padded(p.outputs) * (p.is_weight ? layout.inputs * layout.taps : 1), 16);
}

void store(const Parameter& p, const float* logical, float* stored) {
  if (p.count() != stored_count(p)) std::fill_n(stored, stored_count(p), 0.0f);
  if (p.is_weight)
    for_each_element(p, [&](int64_t from, int64_t to) { stored[to] = logical[from]; });
  else
    std::copy_n(logical, p.outputs, stored);
}

void load(const Parameter& p, const float* stored, float* logical) {
  if (p.is_weight)
    for_each_element(p, [&](int64_t to, int64_t from) { logical[to] = stored[from]; });
  else
    std::copy_n(stored, p.outputs, logical);
}

}  // namespace vggnet::cpu
