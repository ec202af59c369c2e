#include "backend/cuda/host_order.hpp"

namespace vggnet::cuda {
namespace {

// visit(logical index, stored index) for each element.
template <class Visit>
void for_each_element(const Shape& shape, const Visit& visit) {
  const int64_t plane = shape.h * shape.w, stride = padded(shape.c);
  for (int64_t n = 0; n < shape.n; ++n)
    for (int64_t c = 0; c < shape.c; ++c)
      for (int64_t p = 0; p < plane; ++p) visit((n * shape.c + c) * plane + p, (n * plane + p) * stride + c);
}

template <class T>
void pack_as(const float* nchw, const Shape& shape, void* stored) {
  for_each_element(shape, [=](int64_t from, int64_t to) { static_cast<T*>(stored)[to] = from_float<T>(nchw[from]); });
}

template <class T>
void unpack_from(const void* stored, const Shape& shape, float* nchw) {
  for_each_element(shape, [=](int64_t to, int64_t from) { nchw[to] = to_float(static_cast<const T*>(stored)[from]); });
}

}  // namespace

std::vector<uint8_t> pack(const float* nchw, const Shape& shape, Element element) {
  std::vector<uint8_t> stored(stored_elements(shape) * bytes_of(element));  // zero: the padding
  if (element == Element::bfloat16) pack_as<bfloat16>(nchw, shape, stored.data());
  else pack_as<float>(nchw, shape, stored.data());
  return stored;
}

void unpack(const void* stored, Element element, const Shape& shape, float* nchw) {
  if (element == Element::bfloat16) unpack_from<bfloat16>(stored, shape, nchw);
  else unpack_from<float>(stored, shape, nchw);
}

}  // namespace vggnet::cuda
