#include "backend/cpu/dropout.hpp"

#include <algorithm>

#include "backend/cpu/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kGroups = 64;  // drawn at a time, four elements each

struct Draw {
  uint64_t seed, step;
  uint32_t image, stream, threshold;
  float kept;
};

// factors: 4 * kGroups elements from group `first` on.
VGGNET_VECTOR void draw(const Draw& d, uint32_t first, float* __restrict factors) {
  uint32_t words[4][kGroups];
#pragma omp simd
  for (int64_t i = 0; i < kGroups; ++i) {
    const Philox bits = dropout_bits(d.seed, d.step, d.image, d.stream, first + static_cast<uint32_t>(i));
    words[0][i] = bits.word[0];
    words[1][i] = bits.word[1];
    words[2][i] = bits.word[2];
    words[3][i] = bits.word[3];
  }
  for (int64_t i = 0; i < kGroups; ++i)
    for (int64_t k = 0; k < 4; ++k) factors[4 * i + k] = words[k][i] < d.threshold ? 0 : d.kept;
}

}  // namespace

void DropoutMask::write(const Controls& controls, int64_t image, int64_t first, int64_t count, float* factors) const {
  const Draw d = {controls.seed, controls.training_step, static_cast<uint32_t>(controls.first_image + image), stream_,
                  threshold_, kept_};
  float drawn[4 * kGroups];
  for (int64_t done = 0; done < count;) {
    const int64_t group = (first + done) / 4, skip = (first + done) % 4;
    const int64_t length = std::min(4 * kGroups - skip, count - done);
    draw(d, static_cast<uint32_t>(group), drawn);
    std::copy_n(drawn + skip, length, factors + done);
    done += length;
  }
}

}  // namespace vggnet::cpu
