#pragma once
#include <cstdint>
#include <string>

namespace vggnet {

// A batch of images or of activations: n images, c channels, h rows, w columns. Always logical, never padded.
struct Shape {
  int64_t n = 0, c = 0, h = 0, w = 0;

  int64_t per_image() const { return c * h * w; }
  int64_t count() const { return n * per_image(); }
  bool operator==(const Shape&) const = default;
  std::string text() const {
    return "[" + std::to_string(n) + ", " + std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + "]";
  }
};

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace vggnet
