#pragma once
// How the CPU stores tensors: float32, channels in blocks of one vector register, [n][ceil(c / b)][h][w][b], which is
// what oneDNN calls nChw16c (AVX-512) or nChw8c. Channels are padded with zeros to whole blocks and every layer
// computes on the padded count. Images of 1 or 3 channels stay plain [n][c][h][w]: oneDNN has kernels for just these.
#include "tensor/tensor.hpp"

namespace vggnet::cpu {

int64_t block();  // 16 with AVX-512, else 8; the same for the life of the process

inline int64_t padded(int64_t channels) { return round_up(channels, block()); }

inline bool is_plain(const Shape& shape, Storage storage) {
  return storage == Storage::image && (shape.c == 1 || shape.c == 3);
}

inline int64_t stored_elements(const Shape& shape, Storage storage) {
  return shape.n * (is_plain(shape, storage) ? shape.c : padded(shape.c)) * shape.h * shape.w;
}

}  // namespace vggnet::cpu
