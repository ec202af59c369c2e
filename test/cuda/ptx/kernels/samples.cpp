// Random tensors, and the reference that a convolution's plan is checked against.
#include "backend/cuda/kernels/sample.hpp"

#include "case.hpp"

namespace vggnet::cuda {
namespace {

void run_random(ptx::Checker& checker, Element element, int64_t count) {
  Case run(checker);
  fill_random(&run, element, run.output("x", element, count), count, 0x123456789abc, 0.1f);
  fill_random_rectified(&run, element, run.output("x", element, count), count, 3, 1);
}

void run_check(ptx::Checker& checker, const ConvolutionGraph& graph) {
  const Element element = element_of(graph.precision);
  Case run(checker);
  const auto input = [&](const char* name, int64_t count) { return run.input(name, element, count, Numbers::ordinary); };
  ConvolutionOperands operands;
  const int64_t inputs = graph.n * graph.h * graph.w * graph.c, outputs = graph.n * graph.out_h() * graph.out_w() * graph.k,
                weights = graph.k * graph.kernel_h * graph.kernel_w * graph.c;
  operands.weights = input("weights", weights);
  operands.bias = input("bias", graph.k);
  operands.mask = input("mask", inputs);
  operands.x = input("x", inputs);
  operands.dy = input("dy", outputs);
  // What a plan wrote: here anything, so that the differences are large.
  operands.y = const_cast<void*>(input("y", outputs));
  operands.dx = const_cast<void*>(input("dx", inputs));
  operands.dw = const_cast<float*>(run.input("dw", weights, Numbers::ordinary));
  operands.sums = const_cast<float*>(run.input("sums", graph.c, Numbers::any));
  void* const scratch = run.output("scratch", ptx::Kind::words, check_scratch_bytes(graph));
  auto* const result = static_cast<Check*>(run.output("result", ptx::Kind::words, sizeof(Check)));
  check_samples(&run, graph, operands, scratch, result);
  if (graph.sums_gradient) check_sums(&run, graph, operands, scratch, result);
}

}  // namespace

void run_samples(ptx::Checker& checker) {
  for (const Element element : kElements)
    for (const int64_t count : {8, 24, 8 * 257}) run_random(checker, element, count);
  for (const Precision precision : {Precision::bf16, Precision::float32}) {
    run_check(checker, {.direction = Direction::forward, .n = 1, .c = 8, .h = 3, .w = 5, .k = 24, .kernel_h = 3, .kernel_w = 3,
                        .padding = 1, .precision = precision});
    run_check(checker, {.direction = Direction::input_gradient, .n = 2, .c = 24, .h = 5, .w = 3, .k = 8, .kernel_h = 3,
                        .kernel_w = 3, .padding = 1, .precision = precision});
    run_check(checker, {.direction = Direction::weight_gradient, .n = 3, .c = 16, .h = 7, .w = 9, .k = 8, .kernel_h = 3,
                        .kernel_w = 3, .padding = 1, .precision = precision});
    // Sums of so many terms that they are divided among more than eight strips.
    run_check(checker, {.direction = Direction::forward, .n = 2, .c = 2312, .h = 3, .w = 1, .k = 8, .kernel_h = 1, .kernel_w = 1,
                        .padding = 0, .precision = precision, .bias = true, .relu = true});
    run_check(checker, {.direction = Direction::input_gradient, .n = 1, .c = 8, .h = 7, .w = 11, .k = 32, .kernel_h = 3,
                        .kernel_w = 3, .padding = 1, .precision = precision, .mask = true, .mask_scale = 1.7f, .sums_gradient = true});
    run_check(checker, {.direction = Direction::weight_gradient, .n = 3, .c = 8, .h = 11, .w = 9, .k = 8, .kernel_h = 1,
                        .kernel_w = 1, .padding = 0, .precision = precision});
  }
}

}  // namespace vggnet::cuda
