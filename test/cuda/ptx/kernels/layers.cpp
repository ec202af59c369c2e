// The layers between an image and its scores.
#include "backend/cuda/kernels/layers.hpp"

#include "case.hpp"

namespace vggnet::cuda {
namespace {

// One item; odd sides; more channels than eight, not a multiple of it; more than one block of threads.
constexpr Shape kShapes[] = {{1, 8, 2, 2}, {2, 3, 5, 7}, {3, 20, 1, 4}, {2, 13, 3, 1}, {2, 21, 17, 15}};

void run_input(ptx::Checker& checker, Element element, const Shape& shape) {
  Input input = {"", shape.c, {}, {}};
  for (int64_t c = 0; c < shape.c; ++c) {
    input.mean.push_back(0.3f * static_cast<float>(c + 1));
    input.scale.push_back(0.07f * static_cast<float>(c + 5));
  }
  std::vector<uint8_t> flip, bytes;
  for (int64_t n = 0; n < shape.n; ++n) flip.push_back(n % 2 == 0);
  for (int64_t i = 0; i < shape.count(); ++i) bytes.push_back(static_cast<uint8_t>(i * 37));
  Case run(checker);
  Feed feed;
  feed.flip = run.input("flip", flip);
  feed.shift = run.input("shift", shape.n * shape.c, Numbers::ordinary);
  feed.images = run.input("images", bytes);
  feed.results = run.in_out("results", ptx::Kind::words, Results{});
  const int64_t stored = stored_elements(shape);
  transform_images(&run, element, feed, DType::uint8, shape, input, run.output("y", element, stored));
  feed.images = run.input("images", shape.count());
  transform_images(&run, element, feed, DType::float32, shape, input, run.output("y", element, stored));
  image_gradient(&run, element, run.input("dy", element, stored), feed, shape, input, run.output("dx", shape.count()));
}

void run_pool(ptx::Checker& checker, Element element, const Shape& shape) {
  Case run(checker);
  const void* const x = run.input("x", element, stored_elements(shape));
  const int64_t pooled = stored_elements({shape.n, shape.c, shape.h / 2, shape.w / 2});
  auto* const index = static_cast<uint8_t*>(run.output("index", ptx::Kind::bytes, pooled));
  pool(&run, element, x, shape, run.output("y", element, pooled), index);
  pool(&run, element, x, shape, run.output("y", element, pooled), nullptr);
  run.keep(index);
  pool_gradient(&run, element, run.input("dy", element, pooled), index, shape, 1.7f,
                run.output("dx", element, stored_elements(shape)));
}

void run_mean(ptx::Checker& checker, Element element, const Shape& shape) {
  Case run(checker);
  const int64_t means = stored_elements({shape.n, shape.c, 1, 1});
  for (const Element result : kElements)
    spatial_mean(&run, element, run.input("x", element, stored_elements(shape)), shape, result, run.output("y", result, means));
  spatial_mean_gradient(&run, element, run.input("dy", element, means), shape,
                        run.output("dx", element, stored_elements(shape)));
}

void run_dropout(ptx::Checker& checker, Element element, const Shape& shape) {
  for (const float probability : {0.5f, 0.1f}) {
    Case run(checker);
    const auto* const controls = run.input("controls", std::vector<Controls>{{.seed = 0x123456789abc, .training_step = 77,
                                                                              .first_image = 5}});
    const int64_t stored = stored_elements(shape);
    drop(&run, element, run.input("x", element, stored), shape, probability, 1, controls, run.output("y", element, stored));
    void* const both = run.in_out("both", element, stored);
    drop(&run, element, both, shape, probability, 0, controls, both);
  }
}

void run_norm(ptx::Checker& checker, Element element, const Shape& shape) {
  // windows of an odd and an even number of channels, one channel, more than a group to each side
  for (const int size : {5, 4, 1, 19}) {
    for (const Numbers numbers : {Numbers::ordinary, Numbers::any}) {
      const LocalNorm norm = {"", size, 2, 0.3f, 0.75f};
      Case run(checker);
      const int64_t stored = stored_elements(shape);
      const void* const x = run.input("x", element, stored, numbers);
      local_norm(&run, element, x, shape, norm, run.output("y", element, stored));
      // sums of very large gradients cancel
      local_norm_gradient(&run, element, run.input("dy", element, stored, Numbers::ordinary), x, shape, norm,
                          run.output("dx", element, stored));
    }
  }
}

}  // namespace

void run_layers(ptx::Checker& checker) {
  for (const Element element : kElements) {
    for (const Shape& shape : kShapes) {
      run_input(checker, element, shape);
      run_pool(checker, element, shape);
      run_mean(checker, element, shape);
      run_dropout(checker, element, shape);
      run_norm(checker, element, shape);
    }
    // as after the convolutions: one pixel
    run_dropout(checker, element, {3, 37, 1, 1});
  }
}

}  // namespace vggnet::cuda
