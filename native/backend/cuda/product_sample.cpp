#include "backend/cuda/product_sample.hpp"

#include <algorithm>
#include <cstring>

namespace vggnet::cuda {
namespace {

// Eight at the start, in the middle and at the end of `size`; in runs of eight, of which one copy takes each.
std::vector<int64_t> spread(int64_t size) {
  std::vector<int64_t> taken;
  for (int64_t first : {int64_t{0}, size / 16 * 8, size - kLanes})
    for (int64_t i = std::max<int64_t>(first, 0); i < std::min(first + kLanes, size); ++i)
      if (taken.empty() || i > taken.back()) taken.push_back(i);
  return taken;
}

double relative_error(const std::vector<double>& expected, const std::vector<float>& got) {
  double difference = 0, reference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    reference += expected[i] * expected[i];
  }
  return difference == 0 ? 0 : std::sqrt(difference / std::max(reference, std::numeric_limits<double>::min()));
}

}  // namespace

ProductSample::ProductSample(Device& device, const Product& product, const ProductOperands& operands, void* workspace)
    : device_(device),
      product_(product),
      operands_(operands),
      staging_(static_cast<char*>(workspace)),
      rows_(spread(product.rows)),
      columns_(spread(product.columns)) {
  const Element element = element_of(product.precision);
  const int64_t inner = product.inner;
  const std::vector<float> a = product.transposed_a ? columns_of({operands.a, inner, product.rows, element}, rows_)
                                                    : rows_of({operands.a, product.rows, inner, element}, rows_);
  const std::vector<float> b = product.transposed_b ? rows_of({operands.b, product.columns, inner, element}, columns_)
                                                    : columns_of({operands.b, inner, product.columns, element}, columns_);
  std::vector<float> bias(columns_.size());
  if (product.bias) bias = columns_of({operands.bias, 1, product.columns, product.result}, columns_);
  for (size_t r = 0; r < rows_.size(); ++r) {
    const float* const x = a.data() + r * inner;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const float* const y = b.data() + c * inner;
      double sum = bias[c];
      for (int64_t i = 0; i < inner; ++i) sum += double{x[i]} * y[i];
      expected_.push_back(product.relu && sum < 0 ? 0 : sum);
    }
    if (!product.sums_a) continue;
    double sum = 0;
    for (int64_t i = 0; i < inner; ++i) sum += x[i];
    expected_sums_.push_back(sum);
  }
}

void ProductSample::poison() {
  const std::vector<uint8_t> ones(kLanes * sizeof(float), 0xff);
  const int64_t bytes = bytes_of(product_.result);
  char* const d = static_cast<char*>(operands_.d);
  for (int64_t row : rows_)
    for (int64_t column : columns_) 
      if (column % kLanes == 0) device_.upload(ones.data(), d + (row * product_.columns + column) * bytes, kLanes * bytes);
  if (!product_.sums_a) return;
  for (int64_t row : rows_) device_.upload(ones.data(), operands_.sums + row, sizeof(float));
}

double ProductSample::error() {
  const Matrix d = {operands_.d, product_.rows, product_.columns, product_.result};
  std::vector<float> got;
  for (int64_t row : rows_) {
    const char* const at = static_cast<const char*>(d.data) + row * d.width * bytes_of(d.element);
    const std::vector<float> part = columns_of({at, 1, d.width, d.element}, columns_);
    got.insert(got.end(), part.begin(), part.end());
  }
  const double error = relative_error(expected_, got);
  if (!product_.sums_a) return error;
  const double of_sums =
      relative_error(expected_sums_, columns_of({operands_.sums, 1, product_.rows, Element::float32}, rows_));
  return of_sums <= error ? error : of_sums;  // NaN is further off than anything
}
