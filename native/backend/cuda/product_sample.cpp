#include "backend/cuda/product_sample.hpp"

#include <algorithm>
#include <limits>

namespace vggnet::cuda {
namespace {

constexpr double kLargest = 1e30, kLeast = 1e-30;  // between them float32 and bfloat16 have all their bits

// In the device's memory, row by row.
struct Matrix {
  const void* data;
  int64_t height, width;
  Element element;

  const char* at(int64_t row, int64_t column) const {
    return static_cast<const char*>(data) + (row * width + column) * bytes_of(element);
  }
};

// Eight at the start, in the middle and at the end of `size`.
std::vector<int64_t> spread(int64_t size) {
  std::vector<int64_t> taken;
  for (int64_t first : {int64_t{0}, size / 16 * 8, size - kLanes})
    for (int64_t i = std::max<int64_t>(first, 0); i < std::min(first + kLanes, size); ++i)
      if (taken.empty() || i > taken.back()) taken.push_back(i);
  return taken;
}

std::vector<float> values(Device& device, const void* data, Element element, int64_t count) {
  std::vector<float> result(count);
  if (element == Element::float32) {
    device.download(data, result.data(), 4 * count);
    return result;
  }
  std::vector<bfloat16> stored(count);
  device.download(data, stored.data(), int64_t{sizeof(bfloat16)} * count);
  std::ranges::transform(stored, result.begin(), [](bfloat16 x) { return to_float(x); });
  return result;
}

// [rows][width]
std::vector<float> rows_of(Device& device, const Matrix& matrix, const std::vector<int64_t>& rows) {
  std::vector<float> result;
  for (int64_t row : rows) {
    const std::vector<float> line = values(device, matrix.at(row, 0), matrix.element, matrix.width);
    result.insert(result.end(), line.begin(), line.end());
  }
  return result;
}

// [columns][height]. Gathered in the workspace, because thousands of downloads of a few bytes would take long.
std::vector<float> columns_of(Device& device, const Matrix& matrix, const std::vector<int64_t>& columns,
                              void* workspace) {
  const int64_t count = static_cast<int64_t>(columns.size()), each = bytes_of(matrix.element);
  const int64_t rows_at_once = kProductWorkspaceBytes / (count * each);
  std::vector<float> result(count * matrix.height);
  for (int64_t first = 0; first < matrix.height; first += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, matrix.height - first);
    char* to = static_cast<char*>(workspace);
    for (int64_t row = first; row < first + rows; ++row) {
      for (int64_t i = 0, run = 1; i < count; i += run, run = 1) {
        while (i + run < count && columns[i + run] == columns[i] + run) ++run;
        device.copy(matrix.at(row, columns[i]), to, run * each);
        to += run * each;
      }
    }
    const std::vector<float> part = values(device, workspace, matrix.element, rows * count);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < count; ++i) result[i * matrix.height + first + row] = part[row * count + i];
  }
  return result;
}

// None where the reference itself is beyond float32, as with weights that are not finite: there is nothing to compare.
double relative_error(const std::vector<double>& expected, const std::vector<float>& got) {
  if (!std::ranges::all_of(expected, [](double x) { return std::abs(x) < kLargest; })) return 0;
  double difference = 0, reference = kLeast * kLeast;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    reference += expected[i] * expected[i];
  }
  return std::sqrt(difference / reference);
}

}  // namespace

ProductSample::ProductSample(Device& device, const Product& product, const ProductOperands& operands, void* workspace)
    : device_(device),
      product_(product),
      operands_(operands),
      workspace_(workspace),
      rows_(spread(product.rows)),
      columns_(spread(product.columns)) {
  const Element element = element_of(product.precision);
  const int64_t inner = product.inner;
  const std::vector<float> a =  // [rows][inner]
      product.transposed_a ? columns_of(device, {operands.a, inner, product.rows, element}, rows_, workspace)
                           : rows_of(device, {operands.a, product.rows, inner, element}, rows_);
  const std::vector<float> b =  // [columns][inner]
      product.transposed_b ? rows_of(device, {operands.b, product.columns, inner, element}, columns_)
                           : columns_of(device, {operands.b, inner, product.columns, element}, columns_, workspace);
  std::vector<float> bias(columns_.size());
  if (product.bias)
    bias = columns_of(device, {operands.bias, 1, product.columns, product.result}, columns_, workspace);
  for (size_t r = 0; r < rows_.size(); ++r) {
    const float* const x = a.data() + r * inner;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const float* const y = b.data() + c * inner;
      double sum = bias[c];
      for (int64_t i = 0; i < inner; ++i) sum += double{x[i]} * double{y[i]};
      expected_.push_back(product.relu && sum < 0 ? 0 : sum);
    }
    double sum = 0;
    for (int64_t i = 0; i < inner; ++i) sum += double{x[i]};
    expected_sums_.push_back(sum);
  }
}

void ProductSample::poison() {
  const std::vector<uint32_t> ones(product_.columns, ~uint32_t{0});
  const Matrix d = {operands_.d, product_.rows, product_.columns, product_.result};
  for (int64_t row : rows_)
    device_.upload(ones.data(), const_cast<char*>(d.at(row, 0)), d.width * bytes_of(d.element));
  if (!product_.sums_a) return;
  for (int64_t row : rows_) device_.upload(ones.data(), operands_.sums + row, sizeof(float));
}

double ProductSample::error() const {
  const Matrix d = {operands_.d, product_.rows, product_.columns, product_.result};
  const std::vector<float> lines = rows_of(device_, d, rows_);
  std::vector<float> got;
  for (size_t r = 0; r < rows_.size(); ++r)
    for (int64_t column : columns_) got.push_back(lines[r * d.width + column]);
  const double error = relative_error(expected_, got);
  if (!product_.sums_a) return error;
  const Matrix sums = {operands_.sums, 1, product_.rows, Element::float32};
  const double of_sums = relative_error(expected_sums_, columns_of(device_, sums, rows_, workspace_));
  return of_sums <= error ? error : of_sums;  // NaN is further off than any number
}

bool ProductSample::keeps_not_a_number(const std::function<void()>& run) const {
  void* const first_of_a = const_cast<void*>(operands_.a);
  const int64_t bytes = bytes_of(element_of(product_.precision));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const bfloat16 short_nan = from_float<bfloat16>(nan);
  uint32_t before = 0;
  device_.download(first_of_a, &before, bytes);
  device_.upload(bytes == sizeof nan ? static_cast<const void*>(&nan) : &short_nan, first_of_a, bytes);
  device_.clear(operands_.d, kLanes * bytes_of(product_.result));
  run();
  device_.upload(&before, first_of_a, bytes);  // the reference was computed with it
  return std::ranges::all_of(values(device_, operands_.d, product_.result, kLanes),
                             [](float x) { return std::isnan(x); });
}

}  // namespace vggnet::cuda
