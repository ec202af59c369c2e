#pragma once
// Random tensors for trying plans; `count` is a multiple of 8.
#include "backend/cuda/device.hpp"
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

// Mean 0 and standard deviation `scale`; nearly normal, within 3.5 deviations.
void fill_random(Stream, Element, void* x, int64_t count, uint64_t seed, float scale);
// The same with its negative half set to zero, as after a ReLU.
void fill_random_rectified(Stream, Element, void* x, int64_t count, uint64_t seed, float scale);

}  // namespace vggnet::cuda
