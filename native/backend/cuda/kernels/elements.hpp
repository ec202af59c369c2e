#pragma once
// Passes over stored elements, in the order of the stream. Tensors are aligned to 16 bytes; counts and columns are
// multiples of 8 unless stated otherwise. What comes out may lie where something of the same element came from.
#include "backend/cuda/element.hpp"
#include "backend/cuda/device.hpp"

namespace vggnet::cuda {

void rectify(Stream, Element, const void* x, void* y, int64_t count);  // NaN stays NaN
// y[r][c] = x[r][c] + bias[c], and the same rectified. rows x columns
void add_bias(Stream, Element, const void* x, Element bias_element, const void* bias, int64_t rows, int64_t columns,
              void* y);
void add_bias_and_rectify(Stream, Element, const void* x, Element bias_element, const void* bias, int64_t rows,
                          int64_t columns, void* y);
// dx = x > 0 ? dy * scale : 0.
void mask(Stream, Element, const void* dy, const void* x, float scale, void* dx, int64_t count);
void multiply(Stream, Element, const void* x, float factor, void* y, int64_t count);
void add(Stream, const float* x, float* y, int64_t count);  // y += x; any count
void convert(Stream, const float* x, Element, void* y, int64_t count);
void convert(Stream, Element, const void* x, float* y, int64_t count);
// Sets *flag to 1 where a value is not finite, and else leaves it.
void find_not_finite(Stream, Element, const void* x, int64_t count, int32_t* flag);

// sums.cu: sums[c] (+)= sum over rows of x[r][c], without atomics and always in the same order. `partial`: scratch.
int64_t partial_sums_bytes(int64_t rows, int64_t columns);
void sum_rows(Stream, Element, const void* x, int64_t rows, int64_t columns, Gradients, void* partial, float* sums);
// dx = x > 0 ? dy * scale : 0, and sums[c] = sum over its rows, before they are rounded, in one pass.
void mask_and_sum_rows(Stream, Element, const void* dy, const void* x, float scale, void* dx, int64_t rows,
                       int64_t columns, void* partial, float* sums);

}  // namespace vggnet::cuda
