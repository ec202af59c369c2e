#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/elements.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/error.hpp"

namespace vggnet::cpu {
namespace {

// What the soft-max of one image needs: p[i] = exp(x[i] - largest) / sum.
struct Normaliser {
  double largest, sum;
  double probability(float x) const { return std::exp(x - largest) / sum; }
};

// Scores that are not finite make everything that follows from them NaN.
Normaliser normaliser(const float* scores, int64_t classes) {
  if (!std::all_of(scores, scores + classes, [](float x) { return std::isfinite(x); })) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    return {nan, nan};
  }
  Normaliser result = {*std::max_element(scores, scores + classes), 0};
  for (int64_t i = 0; i < classes; ++i) result.sum += std::exp(scores[i] - result.largest);
  return result;
}

// How many classes come before `label`; of equal scores the first comes first.
int64_t rank(const float* scores, int64_t classes, int32_t label) {
  int64_t before = 0;
  for (int64_t i = 0; i < classes; ++i)
    before += scores[i] > scores[label] || (scores[i] == scores[label] && i < label);
  return before;
}

class SoftmaxLossStage final : public Stage {
 public:
  SoftmaxLossStage(const Shape& input, const Context& context)
      : shape_(input), row_(stored_elements(input, context.input_storage) / input.n), mask_scale_(context.mask_scale),
        masks_(context.mask_input) {
    VGGNET_ASSERT(input.h == 1 && input.w == 1);
    requirements_.input_in_backward = true;
    requirements_.saved = {{"normaliser", input.n * int64_t{sizeof(Normaliser)}}};
    requirements_.workspace_bytes = input.n * int64_t{sizeof(ImageResult)};
  }

  void bind(const Binding& binding) override {
    scores_ = binding.input.floats();
    grad_ = binding.grad_input.floats();
    feed_ = binding.feed;
    image_results_ = static_cast<ImageResult*>(binding.workspace);
    normalisers_ = static_cast<Normaliser*>(binding.saved[0]);
  }

  void forward() override {
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < shape_.n; ++n) {
      const float* scores = scores_ + n * row_;
      const int32_t label = feed_.labels[n];
      const Normaliser normal = normalisers_[n] = normaliser(scores, shape_.c);
      if (label < 0) {
        image_results_[n] = {0, shape_.c};
        continue;
      }
      image_results_[n] = {std::log(normal.sum) - (scores[label] - normal.largest),
                      std::isnan(normal.sum) ? shape_.c : rank(scores, shape_.c, label)};
    }
    // one after the other, so that the sum does not depend on the number of threads
    double loss = 0;
    for (int64_t n = 0; n < shape_.n; ++n) {
      loss += image_results_[n].loss;
      feed_.results->correct += image_results_[n].rank < 1;
      feed_.results->correct5 += image_results_[n].rank < std::min<int64_t>(5, shape_.c);
    }
    feed_.results->loss += loss * feed_.controls->loss_scale;
  }

  void backward(Gradients) override {
    if (!grad_) return;
    const int64_t stored = padded(shape_.c);
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < shape_.n; ++n) {
      const float* scores = scores_ + n * row_;
      float* grad = grad_ + n * stored;
      if (feed_.labels[n] < 0) {
        std::fill(grad, grad + stored, 0.0f);
        continue;
      }
      for (int64_t i = 0; i < shape_.c; ++i) {
        const double difference = normalisers_[n].probability(scores[i]) - (i == feed_.labels[n]);
        grad[i] = static_cast<float>(difference * feed_.controls->loss_scale);
      }
      std::fill(grad + shape_.c, grad + stored, 0.0f);
    }
    if (masks_) mask(grad_, scores_, mask_scale_, grad_, shape_.n * stored);
  }

 private:
  struct ImageResult {
    double loss;  // -log p(label)
    int64_t rank;
  };

  const Shape shape_;  // n c 1 1
  const int64_t row_;  // stored elements of an image's scores
  const float mask_scale_;
  const bool masks_;
  const float* scores_ = nullptr;
  float* grad_ = nullptr;
  Feed feed_;
  ImageResult* image_results_ = nullptr;
  Normaliser* normalisers_ = nullptr;
};

}  // namespace

std::unique_ptr<Stage> make_stage(const SoftmaxLoss&, const Shape& input, const Context& context) {
  return std::make_unique<SoftmaxLossStage>(input, context);
}

}  // namespace vggnet::cpu
