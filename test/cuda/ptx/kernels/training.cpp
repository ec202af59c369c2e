// Loss and update.
#include "backend/cuda/kernels/layers.hpp"

#include "case.hpp"

namespace vggnet::cuda {
namespace {

void run_loss(ptx::Checker& checker, Element scores, const Shape& shape, Numbers numbers) {
  Case run(checker);
  std::vector<int32_t> labels;
  for (int64_t n = 0; n < shape.n; ++n) labels.push_back(n % 5 == 3 ? -1 : static_cast<int32_t>(n * 7 % shape.c));
  Feed feed;
  feed.labels = run.input("labels", labels);
  feed.controls = run.input("controls", std::vector<Controls>{{.loss_scale = 1 / 3.f}});
  feed.results = run.in_out("results", ptx::Kind::words, Results{.loss = 0.25, .correct = 3, .correct5 = 4});
  const int64_t stored = stored_elements(shape);
  const void* const x = run.input("x", scores, stored, numbers);
  void* const normaliser = run.output("normaliser", ptx::Kind::words, normaliser_bytes(shape.n));
  softmax_loss(&run, scores, x, shape, feed, normaliser,
               run.output("scratch", ptx::Kind::words, image_results_bytes(shape.n)));
  run.keep(normaliser);
  for (const Element element : kElements)
    softmax_loss_gradient(&run, scores, x, shape, feed, normaliser, element, run.output("dx", element, stored));
}

// Segments with gaps between them; more of them than one launch takes. Those of three follow a loss that is not finite.
void run_update(ptx::Checker& checker, int segments, bool copied, const Seen& seen, Numbers numbers) {
  Case run(checker);
  std::vector<Segment> list;
  int64_t count = 0;
  for (int i = 0; i < segments; ++i) {
    list.push_back({count + 8, 4 * (i % 5 * 7 + 1), i % 2 == 0 ? 1.f : 2.f, i % 2 == 0 ? 1.f : 0.f});
    count = list.back().offset + list.back().count;
  }
  const Arenas arenas = {static_cast<float*>(run.in_out("parameters", Element::float32, count, Numbers::ordinary)),
                         static_cast<float*>(run.in_out("velocity", Element::float32, count, Numbers::ordinary)),
                         run.input("gradients", count, numbers)};
  Feed feed;
  feed.controls = run.input("controls", std::vector<Controls>{{.rate = 0.3f, .momentum = 0.9f, .decay = 0.07f}});
  feed.results = run.in_out("results", ptx::Kind::words, Results{.loss = segments == 3 ? NAN : 0.5});
  const Update update{.arenas = arenas,
                      .copy = copied ? run.output("copy", Element::bfloat16, count) : nullptr,
                      .list = 1,
                      .seen = run.in_out("seen", ptx::Kind::words, seen),
                      .feed = feed};
  check(&run, list, update);
  descend(&run, list, update);
}

}  // namespace

void run_training(ptx::Checker& checker) {
  for (const Element element : kElements)
    for (const Shape& shape : {Shape{1, 1, 1, 1}, {3, 2, 1, 1}, {5, 10, 1, 1}, {19, 131, 1, 1}, {2, 1000, 1, 1}})
      for (const Numbers numbers : {Numbers::ordinary, Numbers::wide, Numbers::any}) run_loss(checker, element, shape, numbers);
  for (const int segments : {1, 3, 67})
    for (const bool copied : {false, true})
      for (const Seen& seen : {Seen{}, {.segments = 1}, {.segments = 1, .large = 1}})
        for (const Numbers numbers : {Numbers::ordinary, Numbers::any}) run_update(checker, segments, copied, seen, numbers);
}

}  // namespace vggnet::cuda
