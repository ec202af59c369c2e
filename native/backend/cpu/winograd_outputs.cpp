#include <omp.h>

#include <algorithm>

#include "backend/cpu/onednn.hpp"
#include "backend/cpu/winograd_tiles.hpp"

namespace vggnet::cpu {
namespace {

// Transformed weights above this are read once for many tiles, by all threads together.
constexpr int64_t kLargeWeights = 10 << 20;
// Transformed weights up to this stay in the caches between the passes that read them.
constexpr int64_t kSmallWeights = 2 << 20;
constexpr int64_t kFewestPanels = 4;  // for each thread
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

// V and M of a block of tiles.
struct WinogradOutputs::Planes {
  float *v, *m;
  int64_t tiles, stride, v_plane, m_plane;
};

int64_t WinogradOutputs::weights_bytes() const {
  return 4 * kPlanes * weights_plane(problem_);
}

// With fewer panels the threads would not share them evenly.
bool WinogradOutputs::reads_weights_once(int64_t images) const {
  const TileBlocks blocks = blocks_of(images);
  return blocks.shared && blocks.tiles == images * problem_.tiles_per_image() && weights_bytes() > kSmallWeights &&
         panels(problem_.outputs / block()) >= kFewestPanels * omp_get_max_threads();
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
  const int64_t threads = omp_get_max_threads();
  if (reads_weights_once(images)) return 4 * (block_floats(blocks.tiles) + threads * panel_floats());
  return 4 * block_floats(blocks.tiles) * (blocks.shared ? 1 : threads);
}

// Transformed weights of one panel: the planes, each [C][2 lanes].
int64_t WinogradOutputs::panel_floats() const { return kPlanes * (problem_.channels * 2 * block() + kPlaneGap); }

// Where row `c` of `k`'s block of outputs lies in the panels of the first plane, and how far the next row is.
WinogradOutputs::Rows WinogradOutputs::rows_of(float* weights, int64_t k, int64_t c) const {
  const int64_t b = block(), outputs = problem_.outputs / b, first = k / 2 * 2;
  const int64_t width = std::min<int64_t>(2, outputs - first) * b;
  return {weights + first * b * problem_.channels + c * b * width + k % 2 * b, width};
}

// Of one block of outputs and one of channels; `plane` is the distance between two planes.
void WinogradOutputs::transform(const float* stored, int64_t k, int64_t c, const Rows& rows, int64_t plane) const {
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
  if (order_ == StoredWeights::straight)
    return winograd_kernels()->transform_weights(stored + (k * inputs + c) * 9 * b * b, rows.first, plane, rows.width);
  const float* const from = stored + (c * outputs + k) * 9 * b * b;
  float turned[9 * 16 * 16];
  for (int64_t tap = 0; tap < 9; ++tap)
    for (int64_t i = 0; i < b; ++i)
      for (int64_t o = 0; o < b; ++o) turned[((8 - tap) * b + o) * b + i] = from[(tap * b + i) * b + o];
  winograd_kernels()->transform_weights(turned, rows.first, plane, rows.width);
}

void WinogradOutputs::transform_weights(const float* stored, float* weights) const {
  const int64_t inputs = problem_.channels / block(), outputs = problem_.outputs / block();
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t k = 0; k < outputs; ++k)
    for (int64_t c = 0; c < inputs; ++c) transform(stored, k, c, rows_of(weights, k, c), weights_plane(problem_));
}

// One plane and one panel over all tiles.
void WinogradOutputs::multiply(const Planes& planes, int64_t plane, int64_t k, const float* panel) const {
  const WinogradKernels& kernels = *winograd_kernels();
  const int64_t b = block(), outputs = problem_.outputs / b, calls = (planes.tiles + kernels.tiles - 1) / kernels.tiles;
  const int vectors = static_cast<int>(std::min<int64_t>(2, outputs - k));
  for (int64_t call = 0; call < calls; ++call) {  // about equally many tiles each
    const int64_t t = call * planes.tiles / calls, count = (call + 1) * planes.tiles / calls - t;
    kernels.multiply(planes.v + plane * planes.v_plane + t * b, planes.stride, count, panel, problem_.channels / b, vectors,
                     planes.m + plane * planes.m_plane + k * planes.stride + t * b);
  }
}

// products(team, planes) makes M from V.
template <class Products>
void WinogradOutputs::run_with(int64_t images, const float* x, const ImagesFinish& finish, float* y, void* scratch,
                               Products products) const {
  const WinogradKernels& kernels = *winograd_kernels();
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b, map = map_floats(problem_);
  const TileBlocks blocks = blocks_of(images);
  each_block(blocks, images * problem_.tiles_per_image(), block_floats(blocks.tiles), static_cast<float*>(scratch),
             [&](int64_t first, int64_t tiles, const Team& team, float* memory) {
    const int64_t stride = tiles * b, v_plane = inputs * stride + kPlaneGap, m_plane = outputs * stride + kPlaneGap;
    const Planes planes = {memory, memory + kPlanes * v_plane, tiles, stride, v_plane, m_plane};
    each_tile(team, problem_, problem_.channels, first, tiles, [&](int64_t c, int64_t t, const TilePosition& position) {
      kernels.transform_input(x + (position.image * inputs + c) * map, position.at, planes.v + c * stride + t * b, v_plane);
    });
    team.wait();
    products(team, planes);
    team.wait();
    each_tile(team, problem_, problem_.outputs, first, tiles, [&](int64_t k, int64_t t, const TilePosition& position) {
      const int64_t at = (position.image * outputs + k) * map;
      kernels.transform_output(planes.m + k * stride + t * b, m_plane, position.at,
                               {finish.bias ? finish.bias + k * b : nullptr, finish.relu,
                                finish.masked_by ? finish.masked_by + at : nullptr, finish.scale},
                               y + at);
    });
    team.wait();
  });
}

void WinogradOutputs::run(int64_t images, const float* x, const float* weights, const ImagesFinish& finish, float* y,
                          void* scratch) const {
  const int64_t of_outputs = panels(problem_.outputs / block()), u_plane = weights_plane(problem_);
  run_with(images, x, finish, y, scratch, [&](const Team& team, const Planes& planes) {
    team.each(kPlanes * of_outputs, [&](int64_t i) {
      const int64_t plane = i / of_outputs, k = i % of_outputs * 2;
      multiply(planes, plane, k, weights + plane * u_plane + k * block() * problem_.channels);
    });
  });
}

void WinogradOutputs::run_once(int64_t images, const float* x, const float* stored, const ImagesFinish& finish, float* y,
                               void* scratch) const {
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
  float* const buffers = static_cast<float*>(scratch) + block_floats(blocks_of(images).tiles);
  run_with(images, x, finish, y, scratch, [&](const Team& team, const Planes& planes) {
    float* const panel = buffers + omp_get_thread_num() * panel_floats();
    team.each_one(panels(outputs), [&](int64_t pair) {
      const int64_t first = 2 * pair, width = std::min<int64_t>(2, outputs - first) * b;
      const int64_t plane_floats = problem_.channels * width + kPlaneGap;
      for (int64_t c = 0; c < inputs; ++c)
        for (int64_t k = first; k < std::min(first + 2, outputs); ++k)
          transform(stored, k, c, {panel + c * b * width + (k - first) * b, width}, plane_floats);
      for (int64_t plane = 0; plane < kPlanes; ++plane) multiply(planes, plane, first, panel + plane * plane_floats);
    });
  });
}

}  // namespace vggnet::cpu
