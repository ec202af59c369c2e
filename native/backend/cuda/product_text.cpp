#include "backend/cuda/product.hpp"

namespace vggnet::cuda {

std::string Product::text() const {
  static constexpr const char* kPrecisions[] = {"float32", "tf32", "bf16"};
  std::string text = "product " + std::to_string(rows) + " x " + std::to_string(columns) + " over " +
                     std::to_string(inner) + (transposed_a ? " a'" : " a") + (transposed_b ? " b' " : " b ") +
                     kPrecisions[static_cast<int>(precision)] +
                     (result == Element::float32 ? " to float32" : " to bf16");
  if (bias) text += " bias";
  if (relu) text += " relu";
  if (sums_a) text += " sums";
  if (deterministic) text += " deterministic";
  return text;
}

}  // namespace vggnet::cuda
