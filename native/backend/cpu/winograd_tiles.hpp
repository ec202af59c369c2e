#pragma once
// What the passes of Winograd's algorithm share: who works on a block of tiles, and where its tiles lie.
#include "backend/cpu/blocked.hpp"
#include "backend/cpu/winograd_pass.hpp"

namespace vggnet::cpu {

// Consecutive planes begin in different sets of the caches: 36 stores to one set would evict each other.
constexpr int64_t kPlaneGap = 16;

// Floats from one plane of transformed weights, or of their gradient, to the next.
inline int64_t weights_plane(const WinogradProblem& problem) { return problem.channels * problem.outputs + kPlaneGap; }

constexpr int64_t kTurns = 8;

// The threads that work on one block: this one alone, or all of a parallel region, each of which makes the same calls.
struct Team {
  int parts;

  // Each does a few at a time: who is held up by another program does fewer.
  template <class Work>
  void each(int64_t count, Work work) const {
    if (parts == 1) {
      for (int64_t i = 0; i < count; ++i) work(i);
      return;
    }
    const int64_t few = count / (parts * kTurns) + 1;
#pragma omp for schedule(dynamic, few) nowait
    for (int64_t i = 0; i < count; ++i) work(i);
  }
  void meet() const {
    if (parts == 1) return;
#pragma omp barrier
  }
};

struct Place {
  int64_t image;
  TileAt at;
};

inline Place place_of(const WinogradProblem& problem, int64_t tile) {
  const int64_t across = (problem.w + kSide - 1) / kSide, within = tile % problem.tiles_per_image();
  return {tile / problem.tiles_per_image(),
          {problem.h, problem.w, within / across * kSide, within % across * kSide}};
}

// work(block of channels, index of the tile in the block of tiles, place) for each
template <class Work>
void each_tile(const Team& team, const WinogradProblem& problem, int64_t channels, int64_t first, int64_t tiles,
               Work work) {
  team.each(channels / block() * tiles,
            [&](int64_t i) { work(i / tiles, i % tiles, place_of(problem, first + i % tiles)); });
}

inline int64_t map_floats(const WinogradProblem& problem) { return problem.h * problem.w * block(); }

}  // namespace vggnet::cpu
