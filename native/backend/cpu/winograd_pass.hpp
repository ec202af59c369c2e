#pragma once
// Winograd's algorithm over a range of images, threaded: outputs (which input gradients are too, of turned weights) and
// weight gradients. Tiles are taken in blocks whose planes fit the caches. Where there are enough tiles each
// thread takes whole blocks; otherwise all threads share the planes of one block, with a barrier between the steps.
#include <vector>

#include "backend/cpu_tuning.hpp"
#include "backend/cpu/winograd.hpp"

namespace vggnet::cpu {

const WinogradKernels* winograd_kernels();  // none: neither AVX-512 nor AVX2

// Padded counts.
struct WinogradProblem {
  int64_t channels, outputs, h, w;

  int64_t tiles_per_image() const { return (h + kSide - 1) / kSide * ((w + kSide - 1) / kSide); }
};

// How the tiles of a range of images are divided.
struct TileBlocks {
  int64_t tiles;  // of a block; the last one may have fewer
  bool shared;    // by all threads; otherwise each thread has a whole block

  int64_t count(int64_t all) const { return (all + tiles - 1) / tiles; }
};

// What is done with the outputs of whole images.
struct ImagesFinish {
  const float* bias = nullptr;       // [outputs]
  bool relu = false;
  const float* masked_by = nullptr;  // images like the outputs
  float scale = 1;
};

// How weights are stored: [outputs / b][channels / b][3][3][b][b], or as those of the convolution whose input gradient this
// is: [channels / b][outputs / b][3][3][b][b].
enum class StoredWeights { straight, turned };

class WinogradOutputs {
 public:
  WinogradOutputs(const WinogradProblem& problem, StoredWeights order)
      : problem_(problem), order_(order), tuning_(tuning()) {}

  // Whether a pass over this number of images reads its transformed weights only once: `run_once` then transforms a panel at a time
  // into the caches, and nothing need be kept of them.
  bool reads_weights_once(int64_t images) const;
  int64_t weights_bytes() const;
  int64_t scratch_bytes(int64_t images) const;

  void transform_weights(const float* stored, float* weights) const;

  // x, y: blocked images. scratch: aligned to 64 bytes.
  void run(int64_t images, const float* x, const float* weights, const ImagesFinish&, float* y, void* scratch) const;
  // The same bits from stored weights.
  void run_once(int64_t images, const float* x, const float* stored, const ImagesFinish&, float* y, void* scratch) const;

 private:
  struct Rows {
    float* first;
    int64_t width;
  };
  struct Planes;  // of a block of tiles

  TileBlocks blocks_of(int64_t images) const;
  int64_t block_floats(int64_t tiles) const;
  int64_t panel_floats() const;
  Rows rows_of(float* weights, int64_t k, int64_t c) const;
  void transform(const float* stored, int64_t k, int64_t c, const Rows&, int64_t plane) const;
  template <class Products>
  void run_with(int64_t images, const float* x, const ImagesFinish&, float* y, void* scratch, Products) const;
  void multiply(const Planes&, int64_t plane, int64_t k, const float* panel) const;

  WinogradProblem problem_;
  StoredWeights order_;
  Tuning tuning_;
};

class WinogradWeightGradient {
 public:
  explicit WinogradWeightGradient(const WinogradProblem& problem) : problem_(problem), tuning_(tuning()) {}

  int64_t sums_bytes() const;
  int64_t scratch_bytes(int64_t images) const;

  // Sums over the images, of weights and biases; `accumulate` adds to what earlier images have left in `sums`.
  void run(int64_t images, const float* x, const float* dy, bool accumulate, float* sums, void* scratch) const;
  // From sums to gradients as weights are stored, and of the bias unless it is null.
  void finish(float* sums, bool accumulate, float* grad_weight, float* grad_bias) const;

 private:
  TileBlocks blocks_of(int64_t images) const;
  int64_t block_floats(int64_t tiles) const;
  int64_t copies() const;  // of the sums: one for each thread, or one for all
  int64_t copy_floats() const;

  WinogradProblem problem_;
  Tuning tuning_;
};

}  // namespace vggnet::cpu
