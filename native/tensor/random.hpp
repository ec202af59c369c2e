#pragma once
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): bits as a pure function of
// (key, counter), so that a dropout mask is the same on every device, for every split of a batch, in any order.
#include <array>
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define VGGNET_HOST_DEVICE __host__ __device__
#else
#define VGGNET_HOST_DEVICE
#endif

namespace vggnet {

struct Philox {
  uint32_t word[4];
};

VGGNET_HOST_DEVICE inline Philox philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Four dropout draws for elements 4*group .. 4*group+3 of one image. `stream` counts the dropout layers of a network.
VGGNET_HOST_DEVICE inline Philox dropout_bits(uint64_t seed, uint64_t step, uint32_t image, uint32_t stream,
                                              uint32_t group) {
  return philox(seed, group, image, static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32) ^ (stream << 16));
}

// A word below this is dropped. p in [0, 1).
VGGNET_HOST_DEVICE inline uint64_t dropout_threshold(double p) {
  const double scaled = p * 4294967296.0;
  const uint64_t whole = static_cast<uint64_t>(scaled);
  return whole + (static_cast<double>(whole) < scaled ? 1 : 0);
}

// Two independent normal deviates from two words (Box-Muller), computed in double: host only.
inline std::array<double, 2> normal_pair(uint32_t a, uint32_t b) {
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  const double radius = std::sqrt(-2.0 * std::log((a + 0.5) * 0x1p-32)), angle = kTwoPi * (b * 0x1p-32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace vggnet
