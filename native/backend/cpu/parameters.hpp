#pragma once
// How the CPU stores parameters. b = block(), outputs and inputs padded to whole blocks with zeros:
//   convolution weights   [outputs / b][inputs / b][kernel h][kernel w][b inputs][b outputs]
//   ... on a plain image  [outputs / b][kernel h][kernel w][inputs][b outputs], inputs not padded
//   linear weights        [outputs][inputs / b][window h][window w][b]: the order of a window in a blocked tensor
//   biases                [outputs]
// Counts are rounded up to 16 floats: each parameter begins at a multiple of 64 bytes, a line of the cache.
#include "layer/layer.hpp"

namespace vggnet::cpu {

// Whether a convolution reads an image as it is, [c][h][w]: where oneDNN has fast kernels for that.
bool convolves_plain(int64_t channels, int kernel);

int64_t stored_count(const Parameter&);
void store(const Parameter&, const float* logical, float* stored);
void load(const Parameter&, const float* stored, float* logical);

}  // namespace vggnet::cpu
