#pragma once
// The reference by which a product's algorithm is checked before it may be used: some rows and columns of d, the first
// and the last among them, computed again on the host in double from the operands.
#include <limits>
#include <vector>

#include "backend/cuda/product.hpp"

namespace vggnet::cuda {

class ProductSample {
 public:
  // Reads a, b and bias; stages what it gathers in `workspace` (kProductWorkspaceBytes).
  ProductSample(Device&, const Product&, const ProductOperands&, void* workspace);

  void poison();  // NaN where the sample lies: a product that writes nothing, or reads d, is found out
  // Relative to the reference, in the L2 norm, over d or over sums, whichever is further off; NaN where one is written.
  double error();

 private:
  // Stored rows of `width` elements.
  struct Matrix {
    const void* data;
    int64_t height, width;
    Element element;
  };

  std::vector<float> rows_of(const Matrix&, const std::vector<int64_t>& rows);                // [rows][width]
  std::vector<float> columns_of(const Matrix&, const std::vector<int64_t>& columns);          // [columns][height]
  std::vector<float> values(const void* device, Element, int64_t count);

  Device& device_;
  const Product product_;
  const ProductOperands operands_;
  char* const staging_;
  std::vector<int64_t> rows_, columns_;         // of d
  std::vector<double> expected_, expected_sums_;  // [rows][columns]; [rows]
};

}  // namespace vggnet::cuda
