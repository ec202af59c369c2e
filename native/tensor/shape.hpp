#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

namespace vggnet {

// A batch of images or of activations: n images, c channels, h rows, w columns. Always logical, never padded. Products do
// not wrap: output_shape (layer/layer.hpp) lets no shape of more than kMostElements pass.
struct Shape {
  int64_t n = 0, c = 0, h = 0, w = 0;

  int64_t per_image() const { return c * h * w; }
  int64_t count() const { return n * per_image(); }
  Shape with_images(int64_t images) const { return {images, c, h, w}; }
  bool operator==(const Shape&) const = default;
  std::string text() const {
    return "[" + std::to_string(n) + ", " + std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + "]";
  }
};

// The most elements that a tensor or a parameter may have, and multiply-adds that a layer may take. What is computed from
// smaller ones (bytes, padding, transforms of tiles, sums of them) stays below 2^63.
inline constexpr int64_t kMostElements = int64_t{1} << 48, kMostOperations = int64_t{1} << 58;

// The product of factors of at least 0, or nothing where it is more than `most`.
inline std::optional<int64_t> product_within(int64_t most, std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t factor : factors)
    if (__builtin_mul_overflow(product, factor, &product) || product > most) return std::nullopt;
  return product;
}

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace vggnet
