#pragma once
// Activations in host memory: logical n c h w float32 to and from what the card stores.
#include <vector>

#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

std::vector<uint8_t> pack(const float* nchw, const Shape&, Element);
void unpack(const void* stored, Element, const Shape&, float* nchw);

}  // namespace vggnet::cuda
