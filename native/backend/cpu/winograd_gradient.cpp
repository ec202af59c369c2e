#include <omp.h>

#include <algorithm>

#include "backend/cpu/winograd_tiles.hpp"

namespace vggnet::cpu {
namespace {

// Sums of a weight gradient up to this each thread has for itself.
constexpr int64_t kOwnSums = 3 << 20;

}  // namespace

int64_t WinogradWeightGradient::copy_floats() const {
  return kPlanes * weights_plane(problem_) + problem_.outputs;
}

int64_t WinogradWeightGradient::copies() const {
  return 4 * copy_floats() <= kOwnSums ? omp_get_max_threads() : 1;
}

int64_t WinogradWeightGradient::sums_bytes() const { return 4 * copies() * copy_floats(); }

int64_t WinogradWeightGradient::block_floats(int64_t tiles) const {
  return kPlanes * (problem_.channels * tiles + kPlaneGap) + (kPlanes + 1) * (problem_.outputs * tiles + kPlaneGap);
}

TileBlocks WinogradWeightGradient::blocks_of(int64_t images) const {
  const int64_t all = images * problem_.tiles_per_image();
  const int64_t per_tile = 4 * kPlanes * (problem_.channels + problem_.outputs);
  const auto planes = static_cast<int64_t>(4 * static_cast<double>(copy_floats()) * tuning_.gradient_block);
  const int64_t fitting = std::max(tuning_.own_block, planes) / per_tile;
  return {std::clamp<int64_t>(fitting, 1, all), copies() == 1};
}

int64_t WinogradWeightGradient::scratch_bytes(int64_t images) const {
  const TileBlocks blocks = blocks_of(images);
  return 4 * block_floats(blocks.tiles) * (blocks.shared ? 1 : omp_get_max_threads());
}

void WinogradWeightGradient::run(int64_t images, const float* x, const float* dy, bool accumulate, float* sums,
                                 void* scratch) const {
  const WinogradKernels& kernels = *winograd_kernels();
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
  const int64_t map = map_floats(problem_), d_plane = weights_plane(problem_);
  const int64_t all = images * problem_.tiles_per_image();
  const TileBlocks blocks = blocks_of(images);
  const int64_t count = blocks.count(all), floats = block_floats(blocks.tiles);

  const auto add_block = [&](int64_t index, bool add, const Team& team, float* planes, float* d) {
    const int64_t first = index * blocks.tiles, tiles = std::min(blocks.tiles, all - first);
    const int64_t stride = tiles * b, v_plane = inputs * stride + kPlaneGap, w_plane = outputs * stride + kPlaneGap;
    float *const v = planes, *const w = planes + kPlanes * v_plane;
    each_tile(team, problem_, problem_.channels, first, tiles, [&](int64_t c, int64_t t, const TilePosition& position) {
      kernels.transform_input(x + (position.image * inputs + c) * map, position.at, v + c * stride + t * b, v_plane);
    });
    each_tile(team, problem_, problem_.outputs, first, tiles, [&](int64_t k, int64_t t, const TilePosition& position) {
      kernels.transform_gradient(dy + (position.image * outputs + k) * map, position.at, w + k * stride + t * b, w_plane);
    });
    team.wait();
    const int64_t parts = b / kernels.channels;
    team.each(kPlanes * inputs * parts, [&](int64_t i) {
      const int64_t plane = i / (inputs * parts), c = i % (inputs * parts) * kernels.channels;
      for (int64_t k = 0; k < outputs; k += 2) {
        const int vectors = static_cast<int>(std::min<int64_t>(2, outputs - k));
        kernels.multiply_transposed(v + plane * v_plane + c / b * stride + c % b, w + plane * w_plane + k * stride,
                                    stride, tiles, vectors, d + plane * d_plane + c * problem_.outputs + k * b,
                                    problem_.outputs, add);
      }
    });
    float* const bias = d + kPlanes * d_plane;
    team.each(outputs, [&](int64_t k) {
      if (!add) std::fill_n(bias + k * b, b, 0.0f);
      const float* from = w + kPlanes * w_plane + k * stride;
      for (int64_t t = 0; t < stride; t += b)
        for (int64_t i = 0; i < b; ++i) bias[k * b + i] += from[t + i];
    });
    team.wait();
  };

#pragma omp parallel
  {
    const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    float* const planes = static_cast<float*>(scratch);
    if (blocks.shared) {
      for (int64_t i = 0; i < count; ++i) add_block(i, accumulate || i > 0, Team{threads}, planes, sums);
    } else {
      float* const own = sums + thread * copy_floats();
      const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
      for (int64_t i = begin; i < end; ++i)
        add_block(i, accumulate || i > begin, Team{1}, planes + thread * floats, own);
      if (begin == end && !accumulate) std::fill_n(own, copy_floats(), 0.0f);
      // OpenMP may have given fewer threads than it may.
      if (thread == 0 && !accumulate)
        std::fill(sums + threads * copy_floats(), sums + copies() * copy_floats(), 0.0f);
    }
  }
}

void WinogradWeightGradient::finish(float* sums, bool accumulate, float* grad_weight, float* grad_bias) const {
  const WinogradKernels& kernels = *winograd_kernels();
  const int64_t b = block(), inputs = problem_.channels / b, outputs = problem_.outputs / b;
  const int64_t d_plane = weights_plane(problem_);
  const int64_t more = copies() - 1, floats = copy_floats();
  if (more > 0) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < floats; i += 1024)
      for (int64_t copy = 1; copy <= more; ++copy)
        for (int64_t j = i; j < std::min(floats, i + 1024); ++j) sums[j] += sums[copy * floats + j];
  }
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t k = 0; k < outputs; ++k)
    for (int64_t c = 0; c < inputs; ++c)
      for (int64_t i = 0; i < b; ++i)
        kernels.fold_gradient(sums + (c * b + i) * problem_.outputs + k * b, d_plane,
                              grad_weight + ((k * inputs + c) * 9 * b + i) * b, b * b, accumulate);
  if (!grad_bias) return;
  const float* bias = sums + kPlanes * d_plane;
  for (int64_t k = 0; k < problem_.outputs; ++k) grad_bias[k] = bias[k] + (accumulate ? grad_bias[k] : 0);
}

}  // namespace vggnet::cpu
