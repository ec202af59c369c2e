#include "image/rescale.hpp"

#include <emmintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/error.hpp"

// Rescales vertically first, to lines of 16-bit fixed-point numbers with 7 fractional bits (255 is 32640), then horizontally.
// The vectors are those of SSE2, which every x86-64 has: _mm_madd_epi16 multiplies and adds two taps at once.
namespace vggnet {
namespace {

constexpr int kWeightBits = 14, kLineBits = 7;
constexpr int kRowShift = kWeightBits - kLineBits, kColumnShift = kWeightBits + kLineBits;
constexpr int64_t kBlock = 16;

// Computes the weights of one pixel. The running sums are rounded, not the weights: no weight is negative, and their sum is
// exactly 1 << 14.
void weigh(double centre, double support, int64_t first, int64_t count, int16_t* weights) {
  const auto height = [&](int64_t tap) {
    return std::max(0.0, 1 - std::abs((static_cast<double>(first + tap) + 0.5 - centre) / support));
  };
  double total = 0, sum = 0;
  for (int64_t tap = 0; tap < count; ++tap) total += height(tap);
  int64_t before = 0;
  for (int64_t tap = 0; tap < count; ++tap) {
    sum += height(tap);
    const int64_t rounded = tap + 1 == count ? 1 << kWeightBits : std::llround(sum / total * (1 << kWeightBits));
    weights[tap] = static_cast<int16_t>(rounded - before);
    before = rounded;
  }
}

__m128i pair_of(const int16_t* weights) {
  int32_t both;
  std::memcpy(&both, weights, sizeof both);
  return _mm_set1_epi32(both);
}

int16_t weighted(const std::vector<const uint8_t*>& rows, const int16_t* weights, int64_t index) {
  int32_t sum = 1 << (kRowShift - 1);
  for (size_t tap = 0; tap < rows.size(); ++tap) sum += weights[tap] * rows[tap][index];
  return static_cast<int16_t>(sum >> kRowShift);
}

void weigh_block(const std::vector<const uint8_t*>& rows, const int16_t* weights, int64_t start, int16_t* line) {
  const __m128i zero = _mm_setzero_si128();
  __m128i sum[4];
  std::fill(sum, sum + 4, _mm_set1_epi32(1 << (kRowShift - 1)));
  for (size_t tap = 0; tap < rows.size(); tap += 2) {
    const __m128i weight = pair_of(weights + tap);
    const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[tap] + start));
    const __m128i other = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[tap + 1] + start));
    const __m128i low = _mm_unpacklo_epi8(one, other), high = _mm_unpackhi_epi8(one, other);
    sum[0] = _mm_add_epi32(sum[0], _mm_madd_epi16(_mm_unpacklo_epi8(low, zero), weight));
    sum[1] = _mm_add_epi32(sum[1], _mm_madd_epi16(_mm_unpackhi_epi8(low, zero), weight));
    sum[2] = _mm_add_epi32(sum[2], _mm_madd_epi16(_mm_unpacklo_epi8(high, zero), weight));
    sum[3] = _mm_add_epi32(sum[3], _mm_madd_epi16(_mm_unpackhi_epi8(high, zero), weight));
  }
  for (__m128i& lanes : sum) lanes = _mm_srai_epi32(lanes, kRowShift);
  auto* target = reinterpret_cast<__m128i*>(line + start);
  _mm_storeu_si128(target, _mm_packs_epi32(sum[0], sum[1]));
  _mm_storeu_si128(target + 1, _mm_packs_epi32(sum[2], sum[3]));
}

// rows: one for each weight, an even number.
void weigh_rows(const std::vector<const uint8_t*>& rows, const int16_t* weights, int64_t bytes, int16_t* line) {
  if (bytes < kBlock) {
    for (int64_t index = 0; index < bytes; ++index) line[index] = weighted(rows, weights, index);
    return;
  }
  // The last block overlaps the one before it, so that nothing is read after the end of a row.
  for (int64_t start = 0; start < bytes; start += kBlock)
    weigh_block(rows, weights, std::min(start, bytes - kBlock), line);
}

// line: begins at columns.from. Up to 4 values after the last tap of a pixel are read.
void weigh_columns(const int16_t* line, const Taps& columns, uint8_t* into) {
  for (size_t pixel = 0; pixel < columns.first.size(); ++pixel, into += 3) {
    const int16_t* from = line + (columns.first[pixel] - columns.from) * 3;
    const int16_t* weights = columns.weights.data() + pixel * columns.each;
    __m128i sum = _mm_set1_epi32(1 << (kColumnShift - 1));
    for (int tap = 0; tap < columns.each; tap += 2, from += 6) {
      // red, green, blue of a pixel, and one value of the next pixel, which is discarded
      const __m128i one = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
      const __m128i other = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + 3));
      sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpacklo_epi16(one, other), pair_of(weights + tap)));
    }
    const __m128i words = _mm_packs_epi32(_mm_srai_epi32(sum, kColumnShift), _mm_setzero_si128());
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(into, &bytes, 3);
  }
}

void weigh_grey_columns(const int16_t* line, const Taps& columns, uint8_t* into) {
  for (size_t pixel = 0; pixel < columns.first.size(); ++pixel) {
    const int16_t* from = line + (columns.first[pixel] - columns.from);
    const int16_t* weights = columns.weights.data() + pixel * columns.each;
    int32_t sum = 1 << (kColumnShift - 1);
    for (int tap = 0; tap < columns.each; ++tap) sum += weights[tap] * from[tap];
    into[pixel] = static_cast<uint8_t>(sum >> kColumnShift);
  }
}

}  // namespace

Taps taps_of(const Axis& axis) {
  VGGNET_ASSERT(axis.source > 0 && axis.extent > 0 && axis.count > 0 && axis.from + axis.count <= axis.size);
  const double scale = axis.extent / static_cast<double>(axis.size), support = std::max(scale, 1.0);
  const auto bound = [&](double point) { return std::clamp<int64_t>(static_cast<int64_t>(point + 0.5), 0, axis.source); };
  const auto centre_of = [&](int64_t pixel) { return (static_cast<double>(axis.from + pixel) + 0.5) * scale; };
  std::vector<int64_t> until(axis.count);
  Taps taps{axis.source, 0, 2, std::vector<int32_t>(axis.count), {}};
  for (int64_t pixel = 0; pixel < axis.count; ++pixel) {
    const double centre = centre_of(pixel);
    // If the extent ends within the last source pixel, the last pixel still uses it.
    const int64_t first = std::min(centre > support ? bound(centre - support) : 0, axis.source - 1);
    until[pixel] = std::max(bound(centre + support), first + 1);
    taps.first[pixel] = static_cast<int32_t>(first);
    taps.from = std::min(taps.from, first);
    taps.until = std::max(taps.until, until[pixel]);
    taps.each = std::max(taps.each, static_cast<int>((until[pixel] - first + 1) / 2 * 2));
  }
  taps.weights.assign(axis.count * taps.each, 0);
  for (int64_t pixel = 0; pixel < axis.count; ++pixel) {
    const int64_t first = taps.first[pixel];
    weigh(centre_of(pixel), support, first, until[pixel] - first, taps.weights.data() + pixel * taps.each);
  }
  return taps;
}

void rescale(const PixelBlock& block, const Taps& rows, const Taps& columns, int channels, uint8_t* into) {
  VGGNET_ASSERT(channels == 1 || channels == 3);
  VGGNET_ASSERT(block.top <= rows.from && rows.until <= block.bottom);
  VGGNET_ASSERT(block.left <= columns.from && columns.until <= block.right);
  const int64_t bytes = (columns.until - columns.from) * channels;
  // The padding is read by taps of weight 0.
  std::vector<int16_t> line(bytes + columns.each * channels + 4);
  std::vector<const uint8_t*> sources(rows.each);
  for (size_t row = 0; row < rows.first.size(); ++row) {
    for (int tap = 0; tap < rows.each; ++tap) {
      const int64_t source = std::min<int64_t>(rows.first[row] + tap, rows.until - 1) - block.top;
      sources[tap] = block.pixels + source * block.row_bytes + (columns.from - block.left) * channels;
    }
    weigh_rows(sources, rows.weights.data() + row * rows.each, bytes, line.data());
    if (channels == 3) weigh_columns(line.data(), columns, into);
    else weigh_grey_columns(line.data(), columns, into);
    into += static_cast<int64_t>(columns.first.size()) * channels;
  }
}

}  // namespace vggnet
