// Soft-max with cross-entropy. An image's classes are divided among kParts items, whose results are joined in a fixed
// order. Powers of e are float32, of a score's distance d to the largest one: with a relative error of (4 + 2.3 d) * 2^-24. They
// are added in double, without that of the label: 1 - p(label) is what the others make. Far scores count little, so that the loss
// is off by less than 1e-6, and by less than 1e-5 of it where it is small.
#include <cmath>

#include "backend/cuda/kernels/divider.hpp"
#include "backend/cuda/kernels/lanes.hpp"
#include "backend/cuda/kernels/launch.hpp"
#include "backend/cuda/kernels/layers.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kParts = 16;  // of an image

VGGNET_HOST_DEVICE inline float power(float x) { return exp2f(x * 1.44269504f); }  // of e

// What the soft-max of one image needs: p[i] = exp(x[i] - largest) / sum, and 1 - p[label].
struct Normaliser {
  double largest, sum, wrong;
};

struct Part {
  double others;   // the sum of the part's classes but the label
  float largest;   // of the part's classes; NaN where a score is not finite
  int32_t before;  // classes of the part that come before the label
};

struct ImageResult {
  double loss;  // -log p(label)
  int64_t rank;
};

struct Scores {
  int64_t classes;
  Divider groups;  // of a row as stored

  explicit Scores(const Shape& shape) : classes(shape.c), groups(padded(shape.c) / kLanes) {}
};

// Part p of a row takes the groups p, p + kParts, ...
template <class T>
struct TakeParts {
  const T* x;
  Scores scores;
  const int32_t* labels;
  Part* parts;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t image = item / kParts, groups = scores.groups.divisor();
    const T* const row = x + image * groups * kLanes;
    const int32_t label = labels[image];
    const float of_label = label < 0 ? 0 : to_float(row[label]);
    float largest = -HUGE_VALF;
    bool finite = true;
    int before = 0;
    for (int64_t group = item % kParts; group < groups; group += kParts) {
      const Floats values = load_group(row, group);
      for (int i = 0; i < kLanes; ++i) {
        const int64_t c = group * kLanes + i;
        if (c >= scores.classes) continue;
        const float value = values.at[i];
        finite &= !not_finite(value);
        largest = value > largest ? value : largest;
        before += value > of_label || (value == of_label && c < label);
      }
    }
    double others = 0;
    for (int64_t group = item % kParts; group < groups; group += kParts) {
      const Floats values = load_group(row, group);
      for (int i = 0; i < kLanes; ++i) {
        const int64_t c = group * kLanes + i;
        if (c < scores.classes && c != label) others += power(values.at[i] - largest);
      }
    }
    parts[item] = {others, finite ? largest : NAN, before};
  }
};

// Scores that are not finite make everything that follows from them NaN.
template <class T>
struct JoinParts {
  const T* x;
  Scores scores;
  const int32_t* labels;
  const Part* parts;
  Normaliser* normalisers;
  ImageResult* image_results;

  VGGNET_HOST_DEVICE void operator()(int64_t image) const {
    const Part* const own = parts + image * kParts;
    float largest = -HUGE_VALF;
    for (int p = 0; p < kParts; ++p)  // a NaN stays once it is there
      largest = own[p].largest > largest || own[p].largest != own[p].largest ? own[p].largest : largest;
    double others = 0;
    int64_t before = 0;
    for (int p = 0; p < kParts; ++p) {
      others += own[p].others * exp(static_cast<double>(own[p].largest) - largest);  // a part without classes: 0 * 0
      before += own[p].before;
    }
    const int32_t label = labels[image];
    if (label < 0) {
      normalisers[image] = {0, 1, 0};
      image_results[image] = {0, scores.classes};
      return;
    }
    const double below = static_cast<double>(to_float(x[image * scores.groups.divisor() * kLanes + label])) - largest;
    const double of_label = exp(below), sum = others + of_label;
    if (sum != sum) {
      normalisers[image] = {NAN, NAN, NAN};
      image_results[image] = {NAN, scores.classes};
      return;
    }
    normalisers[image] = {largest, sum, others / sum};
    // the label's own share of the sum is exact, so that log p is as well where it is near 0
    image_results[image] = {below < 0 ? log(sum) - below : log1p(others), before};
  }
};

// One after the other, so that equal runs give equal sums.
struct Report {
  const ImageResult* image_results;
  int64_t images, classes;
  const Controls* controls;
  Results* results;

  VGGNET_HOST_DEVICE void operator()(int64_t) const {
    double loss = 0;
    int64_t correct = 0, correct5 = 0;
    VGGNET_UNROLL(16)
    for (int64_t i = 0; i < images; ++i) {
      const ImageResult result = image_results[i];
      loss += result.loss;
      correct += result.rank < 1;
      correct5 += result.rank < (classes < 5 ? classes : 5);
    }
    results->loss += loss * controls->loss_scale;
    results->correct += correct;
    results->correct5 += correct5;
  }
};

template <class T, class Gradient>
struct SoftmaxLossGradient {
  const T* x;
  Scores scores;
  const int32_t* labels;
  const Normaliser* normalisers;
  const Controls* controls;
  Gradient* dx;

  VGGNET_HOST_DEVICE void operator()(int64_t item) const {
    const Division position = divide(item, scores.groups);  // image, group
    const Normaliser normaliser = normalisers[position.whole];
    const int32_t label = labels[position.whole];
    const float largest = static_cast<float>(normaliser.largest), loss_scale = controls->loss_scale,
                scale = static_cast<float>(loss_scale / normaliser.sum), of_label = -static_cast<float>(normaliser.wrong) * loss_scale;
    const Floats values = load_group(x, item);
    Floats result;
    for (int i = 0; i < kLanes; ++i) {
      const int64_t c = position.rest * kLanes + i;
      const float gradient = c == label ? of_label : power(values.at[i] - largest) * scale;
      result.at[i] = c < scores.classes && label >= 0 ? gradient : 0;
    }
    store_group(result, dx, item);
  }
};

}  // namespace

int64_t normaliser_bytes(int64_t images) { return images * int64_t{sizeof(Normaliser)}; }
int64_t image_results_bytes(int64_t images) { return images * int64_t{sizeof(ImageResult) + kParts * sizeof(Part)}; }

void softmax_loss(Stream stream, Element element, const void* x, const Shape& shape, const Feed& feed,
                  void* normaliser, void* scratch) {
  Part* const parts = static_cast<Part*>(scratch);
  ImageResult* const image_results = reinterpret_cast<ImageResult*>(parts + shape.n * kParts);
  const Scores scores(shape);
  with_element(element, [&]<class T>(T) {
    const T* const from = static_cast<const T*>(x);
    launch(stream, shape.n * kParts, TakeParts<T>{from, scores, feed.labels, parts});
    launch(stream, shape.n,
           JoinParts<T>{from, scores, feed.labels, parts, static_cast<Normaliser*>(normaliser), image_results});
  });
  launch(stream, 1, Report{image_results, shape.n, shape.c, feed.controls, feed.results});
}

void softmax_loss_gradient(Stream stream, Element scores_element, const void* x, const Shape& shape, const Feed& feed,
                           const void* normaliser, Element element, void* dx) {
  const Scores scores(shape);
  with_element(scores_element, [&]<class T>(T) {
    with_element(element, [&]<class Gradient>(Gradient) {
      launch(stream, shape.n * scores.groups.divisor(),
             SoftmaxLossGradient<T, Gradient>{static_cast<const T*>(x), scores, feed.labels,
                                              static_cast<const Normaliser*>(normaliser), feed.controls,
                                              static_cast<Gradient*>(dx)});
    });
  });
}

}  // namespace vggnet::cuda
