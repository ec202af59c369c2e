#pragma once
#include <cstdint>

#include "backend/backend.hpp"
#include "tensor/random.hpp"

namespace vggnet::cpu {

// What one dropout layer multiplies an image's elements by in this run: 0, or 1 / (1 - p).
class DropoutMask {
 public:
  DropoutMask(float probability, uint32_t stream)
      : threshold_(static_cast<uint32_t>(dropout_threshold(probability))),
        kept_(1 / (1 - probability)),
        stream_(stream) {}

  // Factors of the elements first .. first + count - 1 (logical order c, h, w) of image `image` of this micro-batch.
  void write(const Controls&, int64_t image, int64_t first, int64_t count, float* factors) const;

 private:
  uint32_t threshold_;
  float kept_;
  uint32_t stream_;
};

}  // namespace vggnet::cpu
