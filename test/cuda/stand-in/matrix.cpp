#include "matrix.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace vggnet::cuda {
namespace {

constexpr int64_t kRows = 256, kInner = 256;  // of one block
constexpr int64_t kTile = 4;                  // rows of the inmost loop, by kLanes columns

// sums[4][8] += a[4][inner] b[inner][8]; rows of a are kInner apart.
__attribute__((always_inline)) inline void add_tile(int64_t inner, const double* a, const float* b, double* sums,
                                                    int64_t row_step) {
  double tile[kTile][kLanes] = {};
  for (int64_t k = 0; k < inner; ++k)
    for (int64_t i = 0; i < kTile; ++i)
      for (int64_t j = 0; j < kLanes; ++j) tile[i][j] += a[i * kInner + k] * static_cast<double>(b[k * kLanes + j]);
  for (int64_t i = 0; i < kTile; ++i)
    for (int64_t j = 0; j < kLanes; ++j) sums[i * row_step + j] += tile[i][j];
}

using AddTile = void(int64_t, const double*, const float*, double*, int64_t);
void add_tile_plain(int64_t inner, const double* a, const float* b, double* sums, int64_t row_step) {
  add_tile(inner, a, b, sums, row_step);
}
__attribute__((target("avx2,fma"), optimize("O3"))) void add_tile_avx2(int64_t inner, const double* a, const float* b,
                                                                        double* sums, int64_t row_step) {
  add_tile(inner, a, b, sums, row_step);
}

// Rows of a as kRows x kInner; where there is none, zeros.
void pack_rows(const Vectors& a, int64_t row, int64_t rows, int64_t first, int64_t inner, std::vector<double>& packed) {
  packed.assign(round_up(rows, kTile) * kInner, 0);
  const int64_t vectors = a.along == Vectors::rows ? rows : inner;
#pragma omp parallel for schedule(static)
  for (int64_t v = 0; v < vectors; ++v) {
    float values[std::max(kRows, kInner)];
    if (a.along == Vectors::rows) {
      a.read(row + v, first, first + inner, values);
      std::copy_n(values, inner, &packed[v * kInner]);
    } else {
      a.read(first + v, row, row + rows, values);
      for (int64_t i = 0; i < rows; ++i) packed[i * kInner + v] = values[i];
    }
  }
}

// b as panels of kLanes columns, each inner x kLanes.
void pack_columns(const Vectors& b, int64_t columns, int64_t first, int64_t inner, std::vector<float>& packed) {
  packed.assign(round_up(columns, kLanes) * inner, 0);
  const auto slot = [&](int64_t k, int64_t j) -> float& {
    return packed[(j / kLanes * inner + k) * kLanes + j % kLanes];
  };
  const bool by_column = b.along == Vectors::columns;
#pragma omp parallel for schedule(static)
  for (int64_t v = 0; v < (by_column ? columns : inner); ++v) {
    std::vector<float> values(by_column ? inner : columns);
    if (by_column) {
      b.read(v, first, first + inner, values.data());
      for (int64_t k = 0; k < inner; ++k) slot(k, v) = values[k];
    } else {
      b.read(first + v, 0, columns, values.data());
      for (int64_t j = 0; j < columns; ++j) slot(v, j) = values[j];
    }
  }
}

// Rounded to 10 bits of mantissa, as an A100 or later takes float32 for its tensor cores.
float to_tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (!std::isfinite(x)) return x;
  return std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & ~uint32_t{0x1fff});
}

}  // namespace

void multiply(int64_t rows, int64_t columns, int64_t inner, const Vectors& a, const Vectors& b,
              const std::function<void(int64_t row, const double* values)>& done) {
  AddTile* const add = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? add_tile_avx2 : add_tile_plain;
  const int64_t panels = round_up(columns, kLanes) / kLanes, row_step = panels * kLanes;
  std::vector<double> packed_a, sums;
  std::vector<float> packed_b;
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t count = std::min(kRows, rows - row), tiles = round_up(count, kTile) / kTile;
    sums.assign(tiles * kTile * row_step, 0);
    for (int64_t first = 0; first < inner; first += kInner) {
      const int64_t depth = std::min(kInner, inner - first);
      pack_rows(a, row, count, first, depth, packed_a);
      pack_columns(b, columns, first, depth, packed_b);
#pragma omp parallel for collapse(2) schedule(static)
      for (int64_t panel = 0; panel < panels; ++panel)
        for (int64_t tile = 0; tile < tiles; ++tile)
          add(depth, &packed_a[tile * kTile * kInner], &packed_b[panel * depth * kLanes],
              &sums[tile * kTile * row_step + panel * kLanes], row_step);
    }
    for (int64_t i = 0; i < count; ++i) done(row + i, &sums[i * row_step]);
  }
}

float load(Precision precision, const void* data, int64_t index) {
  if (precision == Precision::bf16) return to_float(static_cast<const bfloat16*>(data)[index]);
  const float value = static_cast<const float*>(data)[index];
  return precision == Precision::tf32 ? to_tf32(value) : value;
}

void load(Precision precision, const void* data, int64_t first, int64_t count, float* values) {
  if (precision == Precision::bf16) {
    const auto* from = static_cast<const bfloat16*>(data) + first;
    for (int64_t i = 0; i < count; ++i) values[i] = to_float(from[i]);
    return;
  }
  std::copy_n(static_cast<const float*>(data) + first, count, values);
  if (precision != Precision::tf32) return;
  for (int64_t i = 0; i < count; ++i) values[i] = to_tf32(values[i]);
}

void store(Element element, void* data, int64_t index, double value) {
  const float rounded = static_cast<float>(value);
  if (element == Element::bfloat16) static_cast<bfloat16*>(data)[index] = from_float<bfloat16>(rounded);
  else static_cast<float*>(data)[index] = rounded;
}

}  // namespace vggnet::cuda
