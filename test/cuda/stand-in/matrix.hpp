#pragma once
// The one product under the stand-in's convolutions and linear layers: of float32 numbers, summed in float64.
#include <functional>

#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

// A matrix as its vectors: rows, or columns.
struct Vectors {
  enum Along { rows, columns } along;
  // Elements begin to end of one vector.
  std::function<void(int64_t vector, int64_t begin, int64_t end, float* values)> read;
};

// Calls done(row, values) for each row of a b, in order; a is rows x inner, b inner x columns.
void multiply(int64_t rows, int64_t columns, int64_t inner, const Vectors& a, const Vectors& b,
              const std::function<void(int64_t row, const double* values)>& done);

// Elements as the unit of the precision takes them.
float load(Precision, const void* data, int64_t index);
void load(Precision, const void* data, int64_t first, int64_t count, float* values);
void store(Element, void* data, int64_t index, double value);

}  // namespace vggnet::cuda
