#pragma once
// The layers that are neither a convolution nor a matrix product, on stored tensors. Shapes are logical; channels are
// padded as element.hpp says, and what is written is zero there.
#include "backend/cuda/device.hpp"
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

// input.cu: raw images -> (pixel + shift - mean) * scale, mirrored, and whether all pixels are finite, for results; and the
// gradient back, float32 n c h w.
void transform_images(Stream, Element, const Feed&, DType images, const Shape&, const Input&, void* y);
void image_gradient(Stream, Element, const void* dy, const Feed&, const Shape&, const Input&, float* dx);

// pool.cu: 2x2, stride 2, the first of equals wins, NaN wins over all; an odd last row or column is left out (its
// gradient is zero). index: n h/2 w/2 c bytes, 0 to 3, row by row; may be null.
void pool(Stream, Element, const void* x, const Shape& input, void* y, uint8_t* index);
void pool_gradient(Stream, Element, const void* dy, const uint8_t* index, const Shape& input, float scale, void* dx);
// n h w c -> n 1 1 c, and back; `result` is the element of the means (and only of them: their gradient is an Element).
void spatial_mean(Stream, Element, const void* x, const Shape& input, Element result, void* y);
void spatial_mean_gradient(Stream, Element, const void* dy, const Shape& input, void* dx);

// dropout.cu: y = x * (kept ? 1 / (1 - p) : 0) by Philox (tensor/random.hpp), as on every device. y may be x.
void drop(Stream, Element, const void* x, const Shape&, float probability, uint32_t stream_of_layer, const Controls*,
          void* y);

// norm.cu: a / (k + alpha * sum a^2)^beta over `size` channels around each; the gradient computes the sums again.
void local_norm(Stream, Element, const void* x, const Shape&, const LocalNorm&, void* y);
void local_norm_gradient(Stream, Element, const void* dy, const void* x, const Shape&, const LocalNorm&, void* dx);

// loss.cu: scores n c 1 1 in the element given; adds to results (loss, correct, correct5); normaliser: kept for the
// gradient; image_results: scratch. The gradient may have another Element.
int64_t normaliser_bytes(int64_t images);
int64_t image_results_bytes(int64_t images);
void softmax_loss(Stream, Element, const void* scores, const Shape&, const Feed&, void* normaliser, void* image_results);
void softmax_loss_gradient(Stream, Element scores_element, const void* scores, const Shape&, const Feed&,
                           const void* normaliser, Element, void* dx);

// What the last update knows of the weights and velocities that it has written; in the device's memory, zero where the
// host has written one since.
struct Seen {
  int64_t segments = 0;  // the number of the list of segments that it wrote, from 1
  int64_t large = 0;     // whether any was so large since the host's last write that an update could overflow
};

// sgd.cu: Backend::update. The check, of parts of the segments in any order, writes nothing but Results::not_finite; `descend`
// comes after the checks of all. Offsets and counts are multiples of 4.
struct Update {
  Arenas arenas;
  void* copy;    // the bfloat16 copy of the parameters, or null
  int64_t list;  // the number of all its segments, for Seen
  Seen* seen;
  Feed feed;
};
void check(Stream, const std::vector<Segment>& part, const Update&);
void descend(Stream, const std::vector<Segment>& all, const Update&);

}  // namespace vggnet::cuda
