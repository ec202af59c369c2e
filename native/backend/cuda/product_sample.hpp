#pragma once
// The reference by which a product's algorithm is checked before it may be used: some rows and columns of d, the first
// and the last among them, computed again on the host in double from the operands.
#include <functional>
#include <vector>

#include "backend/cuda/product.hpp"

namespace vggnet::cuda {

class ProductSample {
 public:
  // Reads the operands; the workspace has kProductWorkspaceBytes.
  ProductSample(Device&, const Product&, const ProductOperands&, void* workspace);

  void poison();  // NaN where the sample lies: what writes nothing, or reads d, is found out
  // Relative to the reference, in the L2 norm, of d or of sums, whichever is further off; NaN where one is written.
  double error() const;
  // Whether NaN in a is NaN in d: a ReLU may make it zero, and hide that a network has come to its end.
  bool keeps_not_a_number(const std::function<void()>& run) const;

 private:
  Device& device_;
  const Product product_;
  const ProductOperands operands_;
  void* const workspace_;
  std::vector<int64_t> rows_, columns_;           // of d
  std::vector<double> expected_, expected_sums_;  // [rows][columns]; [rows]
};

}  // namespace vggnet::cuda
