// A stand-in for cuBLASLt, for tests without a card: the products of product.hpp, in float64. Of the extras it refuses
// some, as cuBLASLt may. It says nothing of cuBLASLt.
#include <algorithm>
#include <map>
#include <vector>

#include "backend/cuda/product.hpp"
#include "matrix.hpp"
#include "stream.hpp"
#include "tensor/error.hpp"
#include "trial.hpp"

namespace vggnet::cuda {
namespace {

// Half of the products get no extras.
bool is_refused(const Product& product) {
  const bool extras = product.bias || product.relu || product.sums_a;
  return extras && (product.rows + product.columns / kLanes + product.inner / kLanes) % 2 == 0;
}

class StandInProduct final : public ProductPlan {
 public:
  StandInProduct(const Product& product, Stream stream) : product_(product), stream_(stream) {}
  const std::string& name() const override { return name_; }

  void run(const ProductOperands& operands, void* workspace) override {
    check(operands, workspace);
    stream_->enqueue([=, this] { compute(operands, workspace); });
  }

  void try_out(const ProductOperands& operands, void* workspace) {
    check(operands, workspace);
    stream_->expect_not_recording("trying plans");
    stream_->run([&] {
      compute(operands, workspace);
      spoil(operands.d, result_bytes());
      if (product_.sums_a) spoil(operands.sums, product_.rows * 4);
    });
  }

 private:
  int64_t result_bytes() const { return product_.rows * product_.columns * bytes_of(product_.result); }

  void check(const ProductOperands& operands, void* workspace) const {
    const int64_t element = bytes_of(element_of(product_.precision));
    VGGNET_ASSERT(!product_.sums_a || product_.transposed_a);
    std::vector<Operand> all{{"the workspace", workspace, kProductWorkspaceBytes, true},
                             {"a", operands.a, product_.rows * product_.inner * element, false},
                             {"b", operands.b, product_.inner * product_.columns * element, false},
                             {"d", operands.d, result_bytes(), true}};
    if (product_.bias) all.push_back({"bias", operands.bias, product_.columns * bytes_of(product_.result), false});
    if (product_.sums_a) all.push_back({"sums", operands.sums, product_.rows * 4, true});
    expect_separate(stream_, product_.text(), all);
  }

  void compute(const ProductOperands& operands, void* workspace) const {
    spoil(workspace, 1 << 20);
    const Product& p = product_;
    const auto reading = [&p](const void* data, int64_t length) {
      return [&p, data, length](int64_t vector, int64_t begin, int64_t end, float* values) {
        for (int64_t i = begin; i < end; ++i) *values++ = load(p.precision, data, vector * length + i);
      };
    };
    const Vectors a = p.transposed_a ? Vectors{Vectors::columns, reading(operands.a, p.rows)}
                                     : Vectors{Vectors::rows, reading(operands.a, p.inner)};
    const Vectors b = p.transposed_b ? Vectors{Vectors::columns, reading(operands.b, p.inner)}
                                     : Vectors{Vectors::rows, reading(operands.b, p.columns)};
    const Precision result = p.result == Element::bfloat16 ? Precision::bf16 : Precision::float32;
    multiply(p.rows, p.columns, p.inner, a, b, [&](int64_t row, const double* values) {
      for (int64_t j = 0; j < p.columns; ++j) {
        const double value = values[j] + (p.bias ? load(result, operands.bias, j) : 0);
        store(p.result, operands.d, row * p.columns + j, p.relu && value < 0 ? 0 : value);
      }
    });
    if (!p.sums_a) return;
    std::vector<double> sums(p.rows);
    for (int64_t i = 0; i < p.inner; ++i)
      for (int64_t row = 0; row < p.rows; ++row) sums[row] += load(p.precision, operands.a, i * p.rows + row);
    for (int64_t row = 0; row < p.rows; ++row) operands.sums[row] = static_cast<float>(sums[row]);
  }

  const Product product_;
  const Stream stream_;
  const std::string name_ = "stand-in";
};

class StandInProducts final : public ProductPlans {
 public:
  explicit StandInProducts(Stream stream) : stream_(stream) {}

  ProductPlan* choose(const Product& product, const ProductOperands& operands, void* workspace) override {
    if (is_refused(product)) return nullptr;
    std::unique_ptr<StandInProduct>& plan = plans_[product.text()];
    if (plan) return plan.get();
    plan = std::make_unique<StandInProduct>(product, stream_);
    plan->try_out(operands, workspace);
    return plan.get();
  }

 private:
  const Stream stream_;
  std::map<std::string, std::unique_ptr<StandInProduct>> plans_;
};

}  // namespace

std::unique_ptr<ProductPlans> make_product_plans(Device& device) {
  return std::make_unique<StandInProducts>(device.stream());
}

}  // namespace vggnet::cuda
