#pragma once
// What the passes of Winograd's algorithm share: the threads that work on a block of tiles, and the tiles' positions.
#include "backend/cpu/blocked.hpp"
#include "backend/cpu/winograd_pass.hpp"

namespace vggnet::cpu {

// Consecutive planes begin in different sets of the caches: 36 stores to one set would evict each other.
constexpr int64_t kPlaneGap = 16;

// Floats from one plane of transformed weights, or of their gradient, to the next.
inline int64_t weights_plane(const WinogradProblem& problem) { return problem.channels * problem.outputs + kPlaneGap; }

constexpr int64_t kPortions = 8;  // of each thread

// The threads that work on one block: this one alone, or all of a parallel region, each of which makes the same calls.
struct Team {
  int parts;

  // Each thread takes small portions: one that another program holds up takes fewer.
  template <class Work>
  void each(int64_t count, Work work) const {
    each_portion(count, count / (parts * kPortions) + 1, work);
  }
  template <class Work>
  void each_one(int64_t count, Work work) const {
    each_portion(count, 1, work);
  }
  template <class Work>
  void each_portion(int64_t count, int64_t portion, Work work) const {
    if (parts == 1) {
      for (int64_t i = 0; i < count; ++i) work(i);
      return;
    }
#pragma omp for schedule(dynamic, portion) nowait
    for (int64_t i = 0; i < count; ++i) work(i);
  }
  void wait() const {
    if (parts == 1) return;
#pragma omp barrier
  }
};

struct TilePosition {
  int64_t image;
  TileAt at;
};

inline TilePosition position_of(const WinogradProblem& problem, int64_t tile) {
  const int64_t across = (problem.w + kSide - 1) / kSide, within = tile % problem.tiles_per_image();
  return {tile / problem.tiles_per_image(),
          {problem.h, problem.w, within / across * kSide, within % across * kSide}};
}

// work(block of channels, index of the tile in the block of tiles, position) for each
template <class Work>
void each_tile(const Team& team, const WinogradProblem& problem, int64_t channels, int64_t first, int64_t tiles,
               Work work) {
  team.each(channels / block() * tiles,
            [&](int64_t i) { work(i / tiles, i % tiles, position_of(problem, first + i % tiles)); });
}

inline int64_t map_floats(const WinogradProblem& problem) { return problem.h * problem.w * block(); }

}  // namespace vggnet::cpu
