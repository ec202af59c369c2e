#include "stages.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/random.hpp"

namespace vggnet::serial {
namespace {

class InputLoops final : public Loops {
 public:
  InputLoops(const Input& input, const Shape& shape, const Context& context) : input_(input), shape_(shape), context_(context) {}

  void forward(const Binding& binding) const override {
    for_each([&](int64_t n, int64_t c, int64_t at, int64_t mirrored, int64_t last_channel) {
      const Feed& feed = binding.feed;
      const float pixel = context_.images == DType::uint8 ? static_cast<const uint8_t*>(feed.images)[last_channel]
                                                          : static_cast<const float*>(feed.images)[at];
      if (!std::isfinite(pixel)) feed.results->images_not_finite = 1;
      binding.output.floats()[feed.flip[n] ? mirrored : at] =
          (pixel + feed.shift[n * shape_.c + c] - input_.mean[c]) * input_.scale[c];
    });
  }

  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    for_each([&](int64_t n, int64_t c, int64_t at, int64_t mirrored, int64_t) {
      binding.grad_input.floats()[at] = binding.grad_output.floats()[binding.feed.flip[n] ? mirrored : at] * input_.scale[c];
    });
  }

 private:
  // visit(image, channel, index, index of the mirrored pixel, index in n h w c)
  template <class Visit>
  void for_each(const Visit& visit) const {
    const auto& [images, channels, h, w] = shape_;
    for (int64_t n = 0, at = 0; n < images; ++n)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t y = 0; y < h; ++y)
          for (int64_t x = 0; x < w; ++x, ++at) visit(n, c, at, at + w - 1 - 2 * x, ((n * h + y) * w + x) * channels + c);
  }

  const Input input_;
  const Shape shape_;
  const Context context_;
};

class MaxPoolLoops final : public Loops {
 public:
  MaxPoolLoops(const Shape& input, const Context& context) : shape_(input), mask_scale_(context.mask_scale) {
    if (context.training) requirements_.saved = {{"index", input.n * input.c * (input.h / 2) * (input.w / 2)}};
  }

  void forward(const Binding& binding) const override {
    pool(binding.input.floats(), shape_.n * shape_.c, shape_.h, shape_.w, binding.output.floats(),
         binding.saved.empty() ? nullptr : static_cast<uint8_t*>(binding.saved[0]));
  }
  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    float* dx = binding.grad_input.floats();
    unpool(binding.grad_output.floats(), static_cast<uint8_t*>(binding.saved[0]), shape_.n * shape_.c, shape_.h, shape_.w, dx);
    for (int64_t i = 0; i < shape_.count(); ++i) dx[i] *= mask_scale_;
  }

 private:
  const Shape shape_;
  const float mask_scale_;
};

class ReluLoops final : public Loops {
 public:
  ReluLoops(const Shape& input, const Context& context) : count_(input.count()), context_(context) {
    requirements_.input_in_backward = context.mask_input;
  }

  void forward(const Binding& binding) const override {
    const float* x = binding.input.floats();
    std::transform(x, x + count_, binding.output.floats(), [](float value) { return std::max(value, 0.0f); });
  }
  // The gradient is masked by this stage's output already.
  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    std::copy_n(binding.grad_output.floats(), count_, binding.grad_input.floats());
    mask_input(context_, binding);
  }

 private:
  const int64_t count_;
  const Context context_;
};

class DropoutLoops final : public Loops {
 public:
  DropoutLoops(const Dropout& dropout, const Shape& input, const Context& context)
      : probability_(context.training ? dropout.probability : 0), stream_(dropout.stream), shape_(input), context_(context) {
    requirements_.input_in_backward = context.mask_input;
  }

  void forward(const Binding& binding) const override { drop_to(binding.input.floats(), binding.output.floats(), binding); }
  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    drop_to(binding.grad_output.floats(), binding.grad_input.floats(), binding);
    mask_input(context_, binding);
  }

 private:
  void drop_to(const float* x, float* y, const Binding& binding) const {
    std::copy_n(x, shape_.count(), y);
    if (probability_ > 0) drop(probability_, stream_, *binding.feed.controls, shape_.n, shape_.per_image(), y);
  }

  const float probability_;
  const uint32_t stream_;
  const Shape shape_;
  const Context context_;
};

// With s the scale: dx = dy s^-beta - 2 alpha beta x sum(dy x s^(-beta-1)), over the channels whose windows hold x's.
class LocalNormLoops final : public Loops {
 public:
  LocalNormLoops(const LocalNorm& norm, const Shape& input, const Context& context)
      : norm_(norm), shape_(input), plane_(input.h * input.w), context_(context) {
    requirements_.input_in_backward = context.training;
  }

  void forward(const Binding& binding) const override {
    const float* x = binding.input.floats();
    for (int64_t at = 0; at < shape_.count(); ++at) binding.output.floats()[at] = x[at] * std::pow(scale(x, at), -norm_.beta);
  }
  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    const float *x = binding.input.floats(), *dy = binding.grad_output.floats();
    for (int64_t at = 0; at < shape_.count(); ++at) {
      float sum = 0;
      for_window(at, [&](int64_t other) { sum += dy[other] * x[other] * std::pow(scale(x, other), -norm_.beta - 1); });
      binding.grad_input.floats()[at] =
          dy[at] * std::pow(scale(x, at), -norm_.beta) - 2 * norm_.alpha * norm_.beta * x[at] * sum;
    }
    mask_input(context_, binding);
  }

 private:
  float scale(const float* x, int64_t at) const {
    float sum = 0;
    for_window(at, [&](int64_t other) { sum += x[other] * x[other]; });
    return norm_.k + norm_.alpha * sum;
  }
  // The same pixel in the channels around.
  template <class Visit>
  void for_window(int64_t at, const Visit& visit) const {
    const int64_t channel = at / plane_ % shape_.c, reach = norm_.size / 2;
    for (int64_t c = std::max<int64_t>(channel - reach, 0); c <= std::min(channel + reach, shape_.c - 1); ++c)
      visit(at + (c - channel) * plane_);
  }

  const LocalNorm norm_;
  const Shape shape_;
  const int64_t plane_;
  const Context context_;
};

class SpatialMeanLoops final : public Loops {
 public:
  SpatialMeanLoops(const Shape& input, const Context& context)
      : planes_(input.n * input.c), plane_(input.h * input.w), context_(context) {
    requirements_.input_in_backward = context.mask_input;
  }

  void forward(const Binding& binding) const override {
    for (int64_t i = 0; i < planes_; ++i) {
      float sum = 0;
      for (int64_t j = 0; j < plane_; ++j) sum += binding.input.floats()[i * plane_ + j];
      binding.output.floats()[i] = sum / static_cast<float>(plane_);
    }
  }
  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    for (int64_t i = 0; i < planes_; ++i)
      std::fill_n(binding.grad_input.floats() + i * plane_, plane_, binding.grad_output.floats()[i] / static_cast<float>(plane_));
    mask_input(context_, binding);
  }

 private:
  const int64_t planes_, plane_;
  const Context context_;
};

class SoftmaxLossLoops final : public Loops {
 public:
  SoftmaxLossLoops(const Shape& input, const Context& context) : shape_(input), context_(context) {
    requirements_.input_in_backward = true;
  }

  void forward(const Binding& binding) const override {
    Results& results = *binding.feed.results;
    double loss = 0;
    for (int64_t n = 0; n < shape_.n; ++n) {
      const int32_t label = binding.feed.labels[n];
      if (label < 0) continue;
      const float* scores = binding.input.floats() + n * shape_.c;
      loss -= std::log(probability(scores, label));
      int64_t before = 0;
      for (int64_t i = 0; i < shape_.c; ++i) before += scores[i] > scores[label] || (scores[i] == scores[label] && i < label);
      results.correct += before < 1;
      results.correct5 += before < std::min<int64_t>(5, shape_.c);
    }
    results.loss += loss * binding.feed.controls->loss_scale;
  }

  void backward(const Binding& binding, Gradients) const override {
    if (!binding.grad_input) return;
    for (int64_t n = 0; n < shape_.n; ++n)
      for (int64_t i = 0; i < shape_.c; ++i) {
        const int32_t label = binding.feed.labels[n];
        const double difference = probability(binding.input.floats() + n * shape_.c, i) - (i == label);
        binding.grad_input.floats()[n * shape_.c + i] =
            label < 0 ? 0 : static_cast<float>(difference * binding.feed.controls->loss_scale);
      }
    mask_input(context_, binding);
  }

 private:
  double probability(const float* scores, int64_t of) const {
    const double largest = *std::max_element(scores, scores + shape_.c);
    double sum = 0;
    for (int64_t i = 0; i < shape_.c; ++i) sum += std::exp(scores[i] - largest);
    return std::exp(scores[of] - largest) / sum;
  }

  const Shape shape_;
  const Context context_;
};

struct Maker {
  const Shape& input;
  const Context& context;

  std::shared_ptr<const Loops> operator()(const Input& layer) const { return std::make_shared<InputLoops>(layer, input, context); }
  std::shared_ptr<const Loops> operator()(const MaxPool&) const { return std::make_shared<MaxPoolLoops>(input, context); }
  std::shared_ptr<const Loops> operator()(const Relu&) const { return std::make_shared<ReluLoops>(input, context); }
  std::shared_ptr<const Loops> operator()(const Dropout& layer) const { return std::make_shared<DropoutLoops>(layer, input, context); }
  std::shared_ptr<const Loops> operator()(const LocalNorm& layer) const { return std::make_shared<LocalNormLoops>(layer, input, context); }
  std::shared_ptr<const Loops> operator()(const SpatialMean&) const { return std::make_shared<SpatialMeanLoops>(input, context); }
  std::shared_ptr<const Loops> operator()(const SoftmaxLoss&) const { return std::make_shared<SoftmaxLossLoops>(input, context); }
  std::shared_ptr<const Loops> operator()(const auto& product) const { return make_product(product, input, context); }
};

}  // namespace

std::shared_ptr<const Loops> make_loops(const Layer& layer, const Shape& input, const Context& context) {
  return std::visit(Maker{input, context}, layer);
}

void mask(const float* x, float scale, int64_t count, float* gradient) {
  for (int64_t i = 0; i < count; ++i) gradient[i] = x[i] > 0 ? gradient[i] * scale : 0;
}

void mask_input(const Context& context, const Binding& binding) {
  if (!context.mask_input || !binding.grad_input) return;
  mask(binding.input.floats(), context.mask_scale, binding.input.shape.count(), binding.grad_input.floats());
}

void pool(const float* x, int64_t planes, int64_t h, int64_t w, float* y, uint8_t* index) {
  for (int64_t plane = 0, to = 0; plane < planes; ++plane)
    for (int64_t row = 0; row < h / 2; ++row)
      for (int64_t column = 0; column < w / 2; ++column, ++to) {
        const float* corner = x + (plane * h + 2 * row) * w + 2 * column;
        const float four[] = {corner[0], corner[1], corner[w], corner[w + 1]};
        const auto best = std::max_element(four, four + 4) - four;
        y[to] = four[best];
        if (index) index[to] = static_cast<uint8_t>(best);
      }
}

void unpool(const float* dy, const uint8_t* index, int64_t planes, int64_t h, int64_t w, float* dx) {
  std::fill_n(dx, planes * h * w, 0.0f);
  for (int64_t plane = 0, from = 0; plane < planes; ++plane)
    for (int64_t row = 0; row < h / 2; ++row)
      for (int64_t column = 0; column < w / 2; ++column, ++from)
        dx[(plane * h + 2 * row + index[from] / 2) * w + 2 * column + index[from] % 2] = dy[from];
}

void drop(float probability, uint32_t stream, const Controls& controls, int64_t images, int64_t per_image, float* values) {
  const uint64_t threshold = dropout_threshold(probability);
  for (int64_t n = 0, at = 0; n < images; ++n)
    for (int64_t i = 0; i < per_image; ++i, ++at) {
      const Philox bits = dropout_bits(controls.seed, controls.training_step, static_cast<uint32_t>(controls.first_image + n),
                                       stream, static_cast<uint32_t>(i / 4));
      values[at] *= bits.word[i % 4] < threshold ? 0 : 1 / (1 - probability);
    }
}

}  // namespace vggnet::serial
