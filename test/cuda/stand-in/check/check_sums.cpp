// Compares the stand-in's convolutions and products with plain loops over their definitions. Prints what is wrong.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "backend/cuda/convolution_graph.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/product.hpp"
#include "matrix.hpp"

namespace vggnet::cuda {
namespace {

int failures = 0;

void expect_near(const std::string& what, const std::vector<double>& found, const std::vector<double>& expected,
                 double relative) {
  double largest = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    worst = std::max(worst, std::fabs(found[i] - expected[i]));
  }
  if (found.size() == expected.size() && worst <= relative * largest) return;
  ++failures;
  std::printf("%s: off by %g of %g\n", what.c_str(), worst, largest);
}

// Numbers in the card's memory, and as the unit reads them.
struct Values {
  Values(Device& device, Precision precision, Element element, int64_t count)
      : device(device), element(element), memory(device.allocate(count * bytes_of(element))), numbers(count) {
    std::vector<uint8_t> stored(count * bytes_of(element));
    static std::minstd_rand random(7);
    for (int64_t i = 0; i < count; ++i) store(element, stored.data(), i, static_cast<double>(random() % 2001) / 1000 - 1);
    for (int64_t i = 0; i < count; ++i) numbers[i] = load(precision, stored.data(), i);
    device.upload(stored.data(), data(), static_cast<int64_t>(stored.size()));
  }
  void* data() const { return memory->data(); }
  std::vector<double> written() const {
    std::vector<uint8_t> stored(numbers.size() * bytes_of(element));
    device.download(data(), stored.data(), static_cast<int64_t>(stored.size()));
    const Precision exact = element == Element::bfloat16 ? Precision::bf16 : Precision::float32;
    std::vector<double> result(numbers.size());
    for (size_t i = 0; i < result.size(); ++i) result[i] = load(exact, stored.data(), static_cast<int64_t>(i));
    return result;
  }

  Device& device;
  Element element;
  std::unique_ptr<Memory> memory;
  std::vector<double> numbers;
};

void check_convolution(Device& device, ConvolutionGraph g) {
  const Element element = element_of(g.precision);
  const Precision exact = element == Element::bfloat16 ? Precision::bf16 : Precision::float32;
  const int64_t inputs = g.n * g.h * g.w * g.c, outputs = g.n * g.out_h() * g.out_w() * g.k;
  Values x(device, g.precision, element, inputs), dy(device, g.precision, element, outputs);
  Values weights(device, g.precision, element, g.k * g.kernel_h * g.kernel_w * g.c), bias(device, exact, element, g.k);
  Values y(device, exact, element, outputs), dx(device, exact, element, inputs);
  Values mask(device, exact, element, inputs);
  Values dw(device, exact, Element::float32, static_cast<int64_t>(weights.numbers.size()));
  Values sums(device, exact, Element::float32, g.c);
  const auto workspace = device.allocate(workspace_bytes(g)), partial = device.allocate(partial_sums_bytes(g.n * g.h * g.w, g.c));

  std::vector<double> want_y(outputs), want_dx(inputs), want_dw(weights.numbers.size()), want_sums(g.c);
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t oh = 0; oh < g.out_h(); ++oh)
      for (int64_t ow = 0; ow < g.out_w(); ++ow)
        for (int64_t k = 0; k < g.k; ++k) {
          const int64_t o = ((n * g.out_h() + oh) * g.out_w() + ow) * g.k + k;
          for (int64_t r = 0; r < g.kernel_h; ++r)
            for (int64_t s = 0; s < g.kernel_w; ++s)
              for (int64_t c = 0; c < g.c; ++c) {
                const int64_t row = oh + r - g.padding, column = ow + s - g.padding;
                if (row < 0 || row >= g.h || column < 0 || column >= g.w) continue;
                const int64_t i = ((n * g.h + row) * g.w + column) * g.c + c;
                const int64_t w = ((k * g.kernel_h + r) * g.kernel_w + s) * g.c + c;
                want_y[o] += x.numbers[i] * weights.numbers[w];
                want_dx[i] += dy.numbers[o] * weights.numbers[w];
                want_dw[w] += dy.numbers[o] * x.numbers[i];
              }
          if (g.bias) want_y[o] += bias.numbers[k];
          if (g.relu) want_y[o] = std::max(0.0, want_y[o]);
        }
  for (int64_t i = 0; i < inputs; ++i) {
    if (g.mask && mask.numbers[i] <= 0) want_dx[i] = 0;
    want_sums[i % g.c] += want_dx[i];
  }

  ConvolutionOperands operands{x.data(), weights.data(), dy.data(), mask.data(), bias.data(), y.data(), dx.data(),
                               static_cast<float*>(dw.data()), static_cast<float*>(sums.data()), partial->data()};
  const auto plans = make_convolution_plans(device, nullptr);
  ConvolutionOperands trial_operands = operands;  // leaves x, dy and mask as they are
  Values other_x(device, exact, element, inputs), other_dy(device, exact, element, outputs), other_mask(device, exact, element, inputs);
  trial_operands.x = other_x.data(), trial_operands.dy = other_dy.data(), trial_operands.mask = other_mask.data();
  ConvolutionPlan& plan = plans->choose(g, trial_operands, workspace->data());
  const double rounding = element == Element::bfloat16 ? 0x1p-8 : 1e-7;
  for (int run = 0; run < 2; ++run) {
    device.clear(sums.data(), g.c * 4);
    plan.run(operands, workspace->data());
    if (g.direction == Direction::forward) expect_near(g.text(), y.written(), want_y, rounding);
    if (g.direction == Direction::input_gradient) expect_near(g.text(), dx.written(), want_dx, rounding);
    if (g.direction == Direction::weight_gradient) expect_near(g.text(), dw.written(), want_dw, 1e-6);
    if (g.sums_gradient) expect_near(g.text() + ", sums", sums.written(), want_sums, rounding);
  }
}

void check_product(Device& device, Product p) {
  const Element element = element_of(p.precision);
  const Precision result = p.result == Element::bfloat16 ? Precision::bf16 : Precision::float32;
  Values a(device, p.precision, element, p.rows * p.inner), b(device, p.precision, element, p.inner * p.columns);
  Values bias(device, result, p.result, p.columns), d(device, result, p.result, p.rows * p.columns);
  Values sums(device, result, Element::float32, p.rows);
  std::vector<double> want(p.rows * p.columns), want_sums(p.rows);
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t j = 0; j < p.columns; ++j) {
      double& sum = want[i * p.columns + j];
      for (int64_t k = 0; k < p.inner; ++k)
        sum += a.numbers[p.transposed_a ? k * p.rows + i : i * p.inner + k] *
               b.numbers[p.transposed_b ? j * p.inner + k : k * p.columns + j];
      if (p.bias) sum += bias.numbers[j];
      if (p.relu) sum = std::max(0.0, sum);
    }
    for (int64_t k = 0; p.transposed_a && k < p.inner; ++k) want_sums[i] += a.numbers[k * p.rows + i];
  }
  const auto workspace = device.allocate(kProductWorkspaceBytes);
  const ProductOperands operands{a.data(), b.data(), bias.data(), d.data(), static_cast<float*>(sums.data())};
  const auto plans = make_product_plans(device);
  ProductOperands trial_operands = operands;  // leaves a and b as they are
  Values other_a(device, p.precision, element, p.rows * p.inner), other_b(device, p.precision, element, p.inner * p.columns);
  trial_operands.a = other_a.data(), trial_operands.b = other_b.data();
  ProductPlan* plan = plans->choose(p, trial_operands, workspace->data());
  if (!plan) return;
  plan->run(operands, workspace->data());
  expect_near(p.text(), d.written(), want, p.result == Element::bfloat16 ? 0x1p-8 : 1e-6);
  if (p.sums_a) expect_near(p.text() + ", sums", sums.written(), want_sums, 1e-6);
}

void check_all() {
  const auto device = open_device(0);
  for (Precision precision : {Precision::float32, Precision::tf32, Precision::bf16}) {
    for (Direction direction : {Direction::forward, Direction::input_gradient, Direction::weight_gradient})
      for (const auto& [kernel, padding] : {std::pair{3, 1}, {1, 0}, {7, 0}, {3, 0}}) {
        ConvolutionGraph graph{direction, 3, 16, 9, 7, 24, kernel, kernel, padding, precision};
        check_convolution(*device, graph);
        graph.bias = graph.relu = direction == Direction::forward;
        graph.mask = graph.sums_gradient = direction == Direction::input_gradient;
        check_convolution(*device, graph);
      }
    for (Element result : {Element::float32, element_of(precision)})
      for (int transposes = 0; transposes < 4; ++transposes)
        for (int64_t rows : {5, 8, 300}) {
          Product product{rows, 16, 600, (transposes & 1) != 0, (transposes & 2) != 0, precision, result};
          check_product(*device, product);
          product.bias = product.relu = true;
          check_product(*device, product);
          product.sums_a = product.transposed_a;
          check_product(*device, product);
        }
  }
}

}  // namespace
}  // namespace vggnet::cuda

int main() {
  vggnet::cuda::check_all();
  std::printf(vggnet::cuda::failures ? "%d wrong\n" : "right\n", vggnet::cuda::failures);
  return vggnet::cuda::failures > 0;
}
