#include "network/plan.hpp"

#include <algorithm>

#include "tensor/error.hpp"

namespace vggnet {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The tensor that a layer hands on.
std::string output_name(const Layer& layer) {
  const auto* convolution = std::get_if<Convolution>(&layer);
  const auto* linear = std::get_if<Linear>(&layer);
  const std::string relu = convolution ? convolution->relu : linear ? linear->relu : "";
  return relu.empty() ? name_of(layer) : relu;
}

// Index of the layer that hands on this tensor; another one comes after it.
size_t layer_giving(const std::vector<Layer>& layers, const std::string& tensor) {
  std::vector<std::string> known;
  for (size_t i = 1; i + 1 < layers.size(); ++i) {
    known.push_back(output_name(layers[i]));
    if (known.back() == tensor) return i;
  }
  throw Error(kInvalidArgument, "Expected one of " + join(known) + " for from but received '" + tensor + "'");
}

// Writes down the stages in order; each reads the tensor that the one before it wrote.
class Planner {
 public:
  Planner(const std::vector<Layer>& layers, const Shape& images, const PlanOptions& options)
      : layers_(layers), shape_(images) {
    plan_.options = options;
  }

  Plan make() {
    if (!plan_.options.from.empty()) start_from(plan_.options.from);
    while (next_ < layers_.size() && !ended()) {
      const Layer& layer = layers_[next_++];
      std::visit([this](const auto& kind) { add(kind); }, layer);
    }
    plan_.logits = static_cast<int>(plan_.tensors.size()) - 1;
    give_scores();
    const bool scores = shape_.h == 1 && shape_.w == 1;  // a class map takes a gradient from the user
    if (plan_.options.training && scores) add(SoftmaxLoss{"loss"});
    for (PlannedTensor& tensor : plan_.tensors) tensor.kept = kept(tensor.name);
    for (const std::string& name : plan_.options.keep)
      if (plan_.tensor(name) < 0)
        throw Error(kInvalidArgument, "Expected tensors from '" + plan_.options.from + "' on for keep but received '" + name + "'");
    plan_.tensors[plan_.logits].kept = true;
    want_gradients();
    return std::move(plan_);
  }

  // Whether the images have passed the input layer.
  bool takes_images() const { return !plan_.stages.empty(); }

 private:
  // The values of a tensor are given instead of the images. Dropout on them is drawn anew each time.
  void start_from(const std::string& tensor) {
    const size_t below = layer_giving(layers_, tensor);
    int64_t channels = std::get<Input>(layers_.front()).channels;
    for (next_ = 1; next_ <= below; ++next_) {
      const auto parameters = parameters_of(layers_[next_], channels);
      if (plan_.options.training && !parameters.empty() && !plan_.options.frozen.contains(parameters.front().layer))
        throw Error(kInvalidArgument, "Expected only frozen layers up to '" + tensor + "' to train from it, but '" +
                                          parameters.front().layer + "' learns: freeze it first");
      channels = output_channels(layers_[next_], channels);
    }
    output_shape(Input{tensor, channels, {}, {}}, shape_);  // before memory for as many channels as a layer names
    const auto count = static_cast<size_t>(channels);
    emit(Input{tensor, channels, std::vector<float>(count, 0.0f), std::vector<float>(count, 1.0f)}, tensor);
    const auto* linear = std::get_if<Linear>(&layers_[below]);
    if (linear && linear->dropout > 0 && plan_.options.training)
      add(Dropout{linear->name + ".dropped", linear->dropout, linear->stream});
  }

  void add(const Input& input) { emit(input, input.name, Storage::image); }

  void add(const Convolution& convolution) {
    if (!convolution.relu.empty() && kept(convolution.name)) {
      Convolution bare = convolution;
      bare.relu.clear();
      emit(bare, bare.name);
      if (!ended()) add(Relu{convolution.relu});
      return;
    }
    const std::string& output = convolution.relu.empty() ? convolution.name : convolution.relu;
    const auto* pool = next_ < layers_.size() ? std::get_if<MaxPool>(&layers_[next_]) : nullptr;
    const bool rectified = !convolution.relu.empty();
    if (pool && !kept(output)) {
      ++next_;
      emit(ConvolutionPool{convolution, *pool}, pool->name).rectified = rectified;
    } else {
      emit(convolution, output).rectified = rectified;
    }
  }

  // The mask of a ReLU below is applied to a quarter of the elements, by the stage above.
  void add(const MaxPool& pool) {
    const PlannedTensor input = current();
    PlannedTensor& output = emit(pool, pool.name);
    output.rectified = input.rectified;
    output.gradient_unmasked |= input.gradient_unmasked;
  }

  void add(const Relu& relu) { emit(relu, relu.name).rectified = true; }

  void add(const Linear& linear) {
    Linear stage = linear;
    const bool drops = plan_.options.training && linear.dropout > 0;
    const bool split_relu = !linear.relu.empty() && kept(linear.name);
    const bool split_dropout = drops && (linear.relu.empty() || split_relu || kept(linear.relu));
    if (split_relu) stage.relu.clear();
    if (split_dropout || !drops) stage.dropout = 0;
    PlannedTensor& output = emit(stage, stage.relu.empty() ? stage.name : stage.relu);
    output.rectified = !stage.relu.empty();
    if (stage.dropout > 0) {
      output.name = linear.name + ".dropped";
      output.mask_scale = 1 / (1 - stage.dropout);
    }
    if (split_relu && !ended()) add(Relu{linear.relu});
    if (split_dropout) add(Dropout{linear.name + ".dropped", linear.dropout, linear.stream});
  }

  template <class Other>
  void add(const Other& other) {
    emit(other, name_of(other));
  }

  PlannedTensor& emit(Layer layer, const std::string& output, Storage storage = Storage::activation) {
    PlannedStage stage;
    stage.input = static_cast<int>(plan_.tensors.size()) - 1;
    stage.output = stage.input + 1;
    stage.input_shape = shape_;
    stage.context.images = plan_.options.images;
    stage.context.training = plan_.options.has_backward();
    stage.context.exact = plan_.options.exact;
    stage.context.output_storage = storage;
    if (stage.input >= 0) {
      stage.context.input_storage = current().storage;
      stage.context.mask_input = current().rectified && !current().gradient_unmasked;
      stage.context.mask_scale = current().mask_scale;
    }
    const auto parameters = parameters_of(layer, shape_.c);
    multiply_adds(layer, shape_);  // refuses what is too large to be counted
    if (!parameters.empty()) stage.parameters = parameters.front().layer;
    shape_ = output_shape(layer, shape_);
    if (std::holds_alternative<SoftmaxLoss>(layer)) {
      stage.output = -1;  // its results are numbers, not a tensor
    } else {
      plan_.tensors.push_back({output, shape_, storage});
      plan_.tensors.back().gradient_unmasked = plan_.options.gradients_at.contains(output);
    }
    stage.layer = std::move(layer);
    plan_.stages.push_back(std::move(stage));
    return plan_.tensors.back();
  }

  // The network's output keeps its digits where the last stage sums in float32 anyway.
  void give_scores() {
    PlannedStage& last = plan_.stages.back();
    const auto* linear = std::get_if<Linear>(&last.layer);
    if (!std::holds_alternative<SpatialMean>(last.layer) && !(linear && linear->relu.empty())) return;
    plan_.tensors[plan_.logits].storage = last.context.output_storage = Storage::score;
  }

  // Backward ends at the lowest stage that learns or tensor whose gradient is wanted, or at the images.
  void want_gradients() {
    if (!plan_.options.has_backward()) return;
    bool below = plan_.options.wants_image_gradient;
    bool bias_below = false;  // the stage below has a bias that learns, and takes the gradient just as it is handed
    for (PlannedStage& stage : plan_.stages) {
      const bool learns =
          plan_.options.training && !stage.parameters.empty() && !plan_.options.frozen.contains(stage.parameters);
      stage.context.wants_input_gradient = below;
      stage.context.wants_parameter_gradients = stage.context.wants_bias_gradient = learns;
      stage.context.may_give_bias_gradient_below = below && bias_below;
      stage.in_backward = below || learns;
      below = below || learns || (stage.output >= 0 && plan_.options.gradients_at.contains(plan_.tensors[stage.output].name));
      // a gradient injected at a kept tensor comes after what the stage above could have summed
      bias_below = learns && stage.output >= 0 && !plan_.tensors[stage.output].kept;
    }
  }

  bool ended() const {
    return plan_.options.only_kept &&
           std::ranges::all_of(plan_.options.keep, [this](const std::string& name) { return plan_.tensor(name) >= 0; });
  }

  const PlannedTensor& current() const { return plan_.tensors.back(); }
  bool kept(const std::string& name) const {
    return std::ranges::find(plan_.options.keep, name) != plan_.options.keep.end();
  }

  const std::vector<Layer>& layers_;
  Shape shape_;
  Plan plan_;
  size_t next_ = 0;
};

}  // namespace

int Plan::tensor(const std::string& name) const {
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].name == name) return static_cast<int>(i);
  return -1;
}

bool Plan::has_loss() const { return std::holds_alternative<SoftmaxLoss>(stages.back().layer); }

bool Plan::after_linear(int tensor) const {
  for (const PlannedStage& stage : stages) {
    const bool flat = std::holds_alternative<Linear>(stage.layer) || std::holds_alternative<SpatialMean>(stage.layer);
    if (flat && stage.output >= 0 && stage.output <= tensor) return true;
  }
  return false;
}

Plan make_plan(const std::vector<Layer>& layers, const Shape& images, const PlanOptions& options) {
  const auto names = tensor_names(layers);
  for (const std::string& name : options.keep)
    if (std::ranges::find(names, name) == names.end())
      throw Error(kInvalidArgument, "Expected one of " + join(names) + " for keep but received '" + name + "'");
  Planner planner(layers, images, options);
  try {
    return planner.make();
  } catch (const Error& error) {
    if (error.code() != std::string(kShapeMismatch) || !planner.takes_images()) throw;
    const std::string what = options.from.empty() ? "images" : "values of '" + options.from + "'";
    throw Error(kShapeMismatch, std::string(error.what()) + ": " + what + " of " + std::to_string(images.h) + "x" +
                                    std::to_string(images.w) + " are too small for this network");
  }
}

}  // namespace vggnet
