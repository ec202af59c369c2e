#include "backend/cpu/dropout.hpp"

#include <algorithm>

#include "tensor/vector.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kGroups = 64;  // drawn at a time, four elements each

struct Draw {
  uint64_t seed, step;
  uint32_t image, stream, threshold;
  float kept;
};

// factors: 4 * groups elements from group `first` on; groups <= kGroups
VGGNET_VECTOR void draw(const Draw& d, uint32_t first, int64_t groups, float* __restrict factors) {
  uint32_t words[4 * kGroups];
#pragma omp simd
  for (int64_t i = 0; i < groups; ++i) {
    const Philox bits = dropout_bits(d.seed, d.step, d.image, d.stream, first + static_cast<uint32_t>(i));
    words[4 * i] = bits.word[0];
    words[4 * i + 1] = bits.word[1];
    words[4 * i + 2] = bits.word[2];
    words[4 * i + 3] = bits.word[3];
  }
#pragma omp simd
  for (int64_t i = 0; i < 4 * groups; ++i) factors[i] = words[i] < d.threshold ? 0 : d.kept;
}

}  // namespace

void DropoutMask::write(const Controls& controls, int64_t image, int64_t first, int64_t count, float* factors) const {
  const Draw d = {controls.seed, controls.training_step, static_cast<uint32_t>(controls.first_image + image), stream_,
                  threshold_, kept_};
  float drawn[4 * kGroups];
  for (int64_t done = 0; done < count;) {
    const int64_t group = (first + done) / 4, skip = (first + done) % 4;
    const int64_t length = std::min(4 * kGroups - skip, count - done);
    draw(d, static_cast<uint32_t>(group), (skip + length + 3) / 4, drawn);
    std::copy_n(drawn + skip, length, factors + done);
    done += length;
  }
}

}  // namespace vggnet::cpu
