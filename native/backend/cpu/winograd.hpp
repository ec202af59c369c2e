#pragma once
// Winograd's F(4x4, 3x3) for stride 1 and padding 1 (Lavin & Gray, arXiv 1509.09308): a tile of 4x4 outputs takes 36
// products for each pair of channels where the direct sum takes 144. One-dimensional matrices for the points 0, +-5/8,
// +-3/2 and infinity, whose rounding errors are smaller than those of 0, +-1, +-2 (Barabasz et al., arXiv 1803.10986).
//
// Of a tile 36 planes are made; `plane` is the distance between two of them in floats. Channels come in blocks of
// `lanes`. Products are matrix products, one for each plane:
//   outputs    M[plane][K / lanes][tiles][lanes] = V[plane][C / lanes][tiles][lanes] x U[plane][panel][C][<= 2 lanes]
//   gradients  D[plane][C][K] (+)= V^T x W[plane][K / lanes][tiles][lanes]
// A panel is two blocks of outputs, the last one where K has an odd number of blocks.
#include <cstdint>

namespace vggnet::cpu {

constexpr int64_t kPlanes = 36;
constexpr int64_t kSide = 4;  // of a tile's outputs

// A map of one channel block [h][w][lanes], and the first output of a tile on it.
struct TileAt {
  int64_t h, w, y, x;
};

// What is done to outputs on their way into memory.
struct Finish {
  const float* bias = nullptr;    // [lanes]; none: 0
  bool relu = false;              // lets NaN through
  const float* masked_by = nullptr;  // a map: outputs are scaled where it is above 0, and 0 elsewhere
  float scale = 1;
};

struct WinogradKernels {
  int64_t lanes;
  int64_t tiles;     // at most, in one call of multiply
  int64_t channels;  // of one call of multiply_transposed; divides lanes

  // From maps: the 6x6 inputs of a tile, zero outside of the map.
  void (*transform_input)(const float* map, const TileAt&, float* planes, int64_t plane);
  // From maps: the 4x4 gradients of a tile's outputs; their sum goes after the planes, as one more plane.
  void (*transform_gradient)(const float* map, const TileAt&, float* planes, int64_t plane);
  void (*transform_output)(const float* planes, int64_t plane, const TileAt&, const Finish&, float* map);
  // [9 taps][lanes][lanes] to `lanes` rows, `row` floats apart, in each plane.
  void (*transform_weights)(const float* taps, float* planes, int64_t plane, int64_t row);
  // The gradient of one row of the above: planes to taps, `tap` floats apart; `accumulate` adds to what is there.
  void (*fold_gradient)(const float* planes, int64_t plane, float* taps, int64_t tap, bool accumulate);

  // One plane, `count` tiles (1 to `tiles`), one panel of `vectors` blocks. Blocks of V and M are `stride` floats apart.
  void (*multiply)(const float* v, int64_t stride, int64_t count, const float* panel, int64_t channel_blocks,
                   int vectors, float* m);
  // One plane, `channels` channels and `vectors` (1, 2) blocks of outputs over all tiles. Blocks of W are `stride`
  // floats apart, rows of D `row`.
  void (*multiply_transposed)(const float* v, const float* w, int64_t stride, int64_t count, int vectors, float* d,
                              int64_t row, bool accumulate);
};

extern const WinogradKernels kWinogradAvx512, kWinogradAvx2;

}  // namespace vggnet::cpu
