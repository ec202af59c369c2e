#include "backend/cuda/kernels/elements.hpp"

#include "case.hpp"

namespace vggnet::cuda {
namespace {

// One group of eight, odd numbers of them, and so many that two groups to an item take more than one block.
constexpr int64_t kCounts[] = {8, 24, 8 * 257, 8 * 1027};

}  // namespace

void run_elements(ptx::Checker& checker) {
  for (const Element element : kElements) {
    for (const int64_t count : kCounts) {
      const auto on_x = [&](const auto& body) {
        Case run(checker);
        body(&run, run.input("x", element, count), run.output("y", element, count));
      };
      on_x([&](Stream stream, const void* x, void* y) { rectify(stream, element, x, y, count); });
      on_x([&](Stream stream, const void* x, void* y) { multiply(stream, element, x, 0.3f, y, count); });
      Case run(checker);
      convert(&run, run.input("x", count), element, run.output("y", element, count), count);
      convert(&run, element, run.input("x", element, count), run.output("y", count), count);
      mask(&run, element, run.input("dy", element, count), run.input("x", element, count), 1.7f, run.output("dx", element, count),
           count);
      for (const Numbers numbers : {Numbers::ordinary, Numbers::any})
        find_not_finite(&run, element, run.input("x", element, count, numbers), count,
                        run.in_out("flag", ptx::Kind::bytes, int32_t{0}));
      // in place
      void* const y = run.in_out("y", element, count);
      rectify(&run, element, y, y, count);
    }
    for (const Element bias_element : kElements) {
      for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 8}, {3, 40}, {37, 72}}) {
        Case run(checker);
        const void *x = run.input("x", element, rows * columns), *bias = run.input("bias", bias_element, columns);
        add_bias(&run, element, x, bias_element, bias, rows, columns, run.output("y", element, rows * columns));
        add_bias_and_rectify(&run, element, x, bias_element, bias, rows, columns, run.output("y", element, rows * columns));
      }
    }
    // The last two take a second sum over strips.
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 8}, {7, 24}, {67, 264}, {1040, 8}, {1043, 24}}) {
      const auto scratch = [&](Case& run) {
        return run.output("partial", ptx::Kind::float32, partial_sums_bytes(rows, columns));
      };
      for (const Gradients gradients : {Gradients::overwrite, Gradients::accumulate}) {
        Case run(checker);
        sum_rows(&run, element, run.input("x", element, rows * columns, Numbers::ordinary), rows, columns, gradients, scratch(run),
                 static_cast<float*>(run.in_out("sums", Element::float32, columns, Numbers::ordinary)));
      }
      Case run(checker);
      mask_and_sum_rows(&run, element, run.input("dy", element, rows * columns, Numbers::ordinary),
                        run.input("x", element, rows * columns), 1.7f, run.output("dx", element, rows * columns), rows, columns,
                        scratch(run), run.output("sums", columns));
    }
  }
  for (const int64_t count : {1, 3, 4, 5, 1027}) {
    Case run(checker);
    add(&run, run.input("x", count), static_cast<float*>(run.in_out("y", Element::float32, count)), count);
  }
}

}  // namespace vggnet::cuda
