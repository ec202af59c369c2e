#include <omp.h>

#include <algorithm>

#include "backend/cpu/onednn.hpp"
#include "backend/cpu/winograd_tiles.hpp"

namespace vggnet::cpu {
namespace {

// Transformed weights above this are read once for many tiles, by all threads together.
constexpr int64_t kLargeWeights = 10 << 20;
// Calls of multiply for one block: fewer would not pay for the weights that they read.
constexpr int64_t kFewestCalls = 2;

// Calls run(first tile, tiles, team, planes) for each block.
template <class Run>
void each_block(const TileBlocks& blocks, int64_t all, int64_t floats, float* scratch, Run run) {
  const int64_t count = blocks.count(all);
  const auto tiles_of = [&](int64_t b) { return std::min(blocks.tiles, all - b * blocks.tiles); };
#pragma omp parallel
  {
    const int thread = omp_get_thread_num();
    if (blocks.shared) {
      for (int64_t b = 0; b < count; ++b) run(b * blocks.tiles, tiles_of(b), Team{omp_get_num_threads()}, scratch);
    } else {
#pragma omp for schedule(dynamic, 1)
      for (int64_t b = 0; b < count; ++b)
        run(b * blocks.tiles, tiles_of(b), Team{1}, scratch + thread * floats);
    }
  }
}

int64_t panels(int64_t blocks) { return (blocks + 1) / 2; }

}  // namespace

const WinogradKernels* winograd_kernels() {
  static const WinogradKernels* const value = []() -> const WinogradKernels* {
    if (block() == 16) return &kWinogradAvx512;
    const int isa = static_cast<int>(dnnl::get_effective_cpu_isa()), avx2 = static_cast<int>(dnnl::cpu_isa::avx2);
    return (isa & avx2) == avx2 ? &kWinogradAvx2 : nullptr;
  }();
  return value;
}

int64_t WinogradOutputs::weights_bytes() const {
  return 4 * kPlanes * weights_plane(problem_);
}

int64_t WinogradOutputs::block_floats(int64_t tiles) const {
  return kPlanes * ((problem_.channels + problem_.outputs) * tiles + 2 * kPlaneGap);
}

TileBlocks WinogradOutputs::blocks_of(int64_t images) const {
  const int64_t all = images * problem_.tiles_per_image(), threads = omp_get_max_threads();
  const int64_t per_tile = 4 * kPlanes * (problem_.channels + problem_.outputs), call = winograd_kernels()->tiles;
  const bool large = weights_bytes() > kLargeWeights, shared = large || all < threads * kFewestCalls * call;
  const int64_t fitting = (shared ? tuning_.shared_block : tuning_.own_block) / per_tile / call * call;
  return {std::min(std::max(fitting, kFewestCalls * call), all), shared};
}

int64_t WinogradOutputs::scratch_bytes(int64_t images) const {
  const TileBlocks blocks = blocks_of(images);
  return 4 * block_floats(blocks.tiles) * (blocks.shared ? 1 : omp_get_max_threads());
}

// Where row `c` of `k`'s block of outputs lies in the panels of the first plane, and how far the next row is.
WinogradOutputs::Rows WinogradOutputs::rows_of(float* weights, int64_t k, int64_t c) const {
  const int64_t b = block(), outputs = problem_.outputs / b, first = k / 2 * 2;
  const int64_t width = std::min<int64_t>(2, outputs - first) * b;
  return {weights + first * b * problem_.channels + c * b * width + k % 2 * b, width};
}

void WinogradOutputs::transform_weights(const float* stored, float* weights) const {
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t k = 0; k < outputs; ++k) {
    for (int64_t c = 0; c < inputs; ++c) {
      const Rows rows = rows_of(weights, k, c);
      winograd_kernels()->transform_weights(stored + (k * inputs + c) * 9 * b * b, rows.first, weights_plane(problem_), rows.width);
    }
  }
}

void WinogradOutputs::transform_turned_weights(const float* stored, float* weights) const {
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t k = 0; k < outputs; ++k) {
    for (int64_t c = 0; c < inputs; ++c) {
      const float* const from = stored + (c * outputs + k) * 9 * b * b;
      float turned[9 * 16 * 16];
      for (int64_t tap = 0; tap < 9; ++tap)
        for (int64_t i = 0; i < b; ++i)
          for (int64_t o = 0; o < b; ++o) turned[((8 - tap) * b + o) * b + i] = from[(tap * b + i) * b + o];
      const Rows rows = rows_of(weights, k, c);
      winograd_kernels()->transform_weights(turned, rows.first, weights_plane(problem_), rows.width);
    }
  }
}

void WinogradOutputs::run(int64_t images, const float* x, const float* weights, const ImagesFinish& finish, float* y,
                          void* scratch) const {
  const WinogradKernels& kernels = *winograd_kernels();
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
  const int64_t map = map_floats(problem_), u_plane = weights_plane(problem_);
  const TileBlocks blocks = blocks_of(images);
  each_block(blocks, images * problem_.tiles_per_image(), block_floats(blocks.tiles), static_cast<float*>(scratch),
             [&](int64_t first, int64_t tiles, const Team& team, float* planes) {
    const int64_t stride = tiles * b, v_plane = inputs * stride + kPlaneGap, m_plane = outputs * stride + kPlaneGap;
    float *const v = planes, *const m = planes + kPlanes * v_plane;
    each_tile(team, problem_, problem_.channels, first, tiles, [&](int64_t c, int64_t t, const TilePosition& position) {
      kernels.transform_input(x + (position.image * inputs + c) * map, position.at, v + c * stride + t * b, v_plane);
    });
    team.wait();
    const int64_t calls = (tiles + kernels.tiles - 1) / kernels.tiles;
    team.each(kPlanes * panels(outputs), [&](int64_t i) {
      const int64_t plane = i / panels(outputs), k = i % panels(outputs) * 2;
      const float* const panel = weights + plane * u_plane + k * b * problem_.channels;
      const int vectors = static_cast<int>(std::min<int64_t>(2, outputs - k));
      for (int64_t call = 0; call < calls; ++call) {  // about equally many tiles each
        const int64_t t = call * tiles / calls, count = (call + 1) * tiles / calls - t;
        kernels.multiply(v + plane * v_plane + t * b, stride, count, panel, inputs, vectors,
                         m + plane * m_plane + k * stride + t * b);
      }
    });
    team.wait();
    each_tile(team, problem_, problem_.outputs, first, tiles, [&](int64_t k, int64_t t, const TilePosition& position) {
      const int64_t at = (position.image * outputs + k) * map;
      kernels.transform_output(m + k * stride + t * b, m_plane, position.at,
                               {finish.bias ? finish.bias + k * b : nullptr, finish.relu,
                                finish.masked_by ? finish.masked_by + at : nullptr, finish.scale},
                               y + at);
    });
    team.wait();
  });
}

}  // namespace vggnet::cpu
