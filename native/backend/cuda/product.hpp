#pragma once
// Matrix products by cuBLASLt, all matrices row by row.
#include <memory>
#include <string>

#include "backend/cuda/device.hpp"
#include "backend/cuda/element.hpp"

namespace vggnet::cuda {

// d [rows][columns] = a b, where a is [rows][inner] or its transpose as stored, b [inner][columns] likewise.
struct Product {
  int64_t rows, columns, inner;
  bool transposed_a = false, transposed_b = false;
  Precision precision;              // of a and b
  Element result = Element::float32;
  bool bias = false, relu = false;  // d = relu(a b + bias), a bias for each column, of the elements of d
  bool sums_a = false;              // only with transposed_a: also the sum of each column of a as stored, float32
  bool deterministic = false;

  std::string text() const;
};

struct ProductOperands {
  const void *a = nullptr, *b = nullptr, *bias = nullptr;
  void* d = nullptr;
  float* sums = nullptr;
};

inline constexpr int64_t kProductWorkspaceBytes = 64 << 20;

class ProductPlan {
 public:
  virtual ~ProductPlan() = default;
  virtual const std::string& name() const = 0;
  virtual void run(const ProductOperands&, void* workspace) = 0;
};

class ProductPlans {
 public:
  virtual ~ProductPlans() = default;
  // The fastest of cuBLASLt's proposals that is right in numbers, found once for each product. Null where cuBLASLt has
  // none with just these extras (bias, relu that keeps NaN, sums_a): then the caller leaves them out and does them
  // itself. Without extras it throws INTERNAL. The operands are used for the trial runs: d and sums are
  // lost, a is filled with random numbers, and so is b where a is transposed; else b holds weights, and is only read.
  // All are aligned to 16 bytes, the workspace to 256.
  virtual ProductPlan* choose(const Product&, const ProductOperands&, void* workspace) = 0;
};

std::unique_ptr<ProductPlans> make_product_plans(Device&);

}  // namespace vggnet::cuda
