#include "network/execution.hpp"

#include <algorithm>
#include <limits>

#include "network/guard.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr int kBeforeAll = -1;

}  // namespace

Execution::Execution(Backend& backend, Plan plan, const std::atomic<bool>* ending)
    : backend_(backend), plan_(std::move(plan)), ending_(ending) {
  limit_batch();
  prepare();
  lay_out();
}

// A pooled convolution has its output before the pool as well, in the workspace.
void Execution::limit_batch() {
  Shape widest;
  std::string name;
  largest_batch_ = std::numeric_limits<int64_t>::max();
  for (const PlannedStage& planned : plan_.stages) {
    const auto* pooled = std::get_if<ConvolutionPool>(&planned.layer);
    const Layer layer = pooled ? Layer(pooled->convolution) : planned.layer;
    const Shape shape = output_shape(layer, planned.input_shape);
    const int64_t most = backend_.most_images(shape);
    if (most >= largest_batch_) continue;
    largest_batch_ = most;
    widest = shape;
    name = name_of(layer);
  }
  if (images().n > largest_batch_)
    throw Error(kInvalidArgument, "Expected at most " + std::to_string(largest_batch_) + " images of " +
                                      std::to_string(images().h) + "x" + std::to_string(images().w) + " in a batch or " +
                                      "micro-batch, so that every tensor has fewer elements than " + backend_.name() +
                                      " can index, but received " + std::to_string(images().n) + ": the output of '" +
                                      name + "' has shape " + widest.text());
}

// From the top down, because a stage may deliver the bias gradient of the one below it.
void Execution::prepare() {
  stages_.resize(plan_.stages.size());
  bool delivered = false;
  for (size_t i = stages_.size(); i-- > 0;) {
    PlannedStage& planned = plan_.stages[i];
    if (delivered) planned.context.wants_bias_gradient = false;
    stages_[i] = backend_.prepare(planned.layer, planned.input_shape, planned.context);
    delivered = stages_[i]->requirements().gives_bias_gradient_below;
  }
}

int Execution::live(const std::string& name, int64_t bytes, int first, int last) {
  lifetimes_.push_back({name, std::max<int64_t>(bytes, 1) + kGuardBytes, first, last});
  return static_cast<int>(lifetimes_.size()) - 1;
}

// Until the stage that wrote the tensor has read its gradient.
int Execution::live_gradient(int tensor, int first) {
  const PlannedTensor& planned = plan_.tensors[tensor];
  return live("gradient of " + planned.name, backend_.stored_bytes(planned.shape, Storage::activation), first,
              backward_event(tensor));
}

// Events: the stages forward, then the stages backward.
void Execution::lay_out() {
  const Shape& images = plan_.stages.front().input_shape;
  const int64_t pixel_bytes = plan_.options.images == DType::uint8 ? 1 : sizeof(float);
  images_life_ = live("images", images.count() * pixel_bytes, kBeforeAll, last_event());
  flip_life_ = live("flip", images.n, kBeforeAll, last_event());
  shift_life_ = live("shift", images.n * images.c * int64_t{sizeof(float)}, kBeforeAll, last_event());
  labels_life_ = live("labels", images.n * int64_t{sizeof(int32_t)}, kBeforeAll, last_event());

  const int count = static_cast<int>(plan_.tensors.size());
  std::vector<int> last(count);
  gradient_life_.assign(count, -1);
  saved_life_.resize(stages_.size());
  for (size_t i = 0; i < stages_.size(); ++i) {
    const PlannedStage& planned = plan_.stages[i];
    const Requirements& needs = stages_[i]->requirements();
    const int forward = static_cast<int>(i), backward = backward_event(i);
    if (planned.input >= 0) {
      int& end = last[planned.input];
      end = std::max(end, planned.in_backward && needs.input_in_backward ? backward : forward);
      if (planned.context.wants_input_gradient && planned.input != plan_.logits)
        gradient_life_[planned.input] = live_gradient(planned.input, backward);
    } else if (planned.context.wants_input_gradient) {
      image_gradient_life_ = live("gradient of images", images.count() * int64_t{sizeof(float)}, backward, last_event());
    }
    if (planned.output >= 0) last[planned.output] = forward;
    for (const Saved& saved : needs.saved)
      saved_life_[i].push_back(live(name_of(planned.layer) + " " + saved.name, saved.bytes, forward,
                                    planned.in_backward ? backward : forward));
    workspace_bytes_ = std::max(workspace_bytes_, needs.workspace_bytes);
  }
  // the gradient of the logits may come from the caller, between the passes
  const bool wanted = plan_.options.gradients_at.contains(plan_.tensors[plan_.logits].name);
  if (plan_.options.has_backward() && (wanted || plan_.stages[layers() - 1].in_backward))
    gradient_life_[plan_.logits] = live_gradient(plan_.logits, static_cast<int>(layers()) - 1);
  for (int t = 0; t < count; ++t) {
    const PlannedTensor& tensor = plan_.tensors[t];
    tensor_life_.push_back(live(tensor.name, backend_.stored_bytes(tensor.shape, tensor.storage), t,
                                tensor.kept ? last_event() : last[t]));
  }
  workspace_life_ = live("workspace", workspace_bytes_, kBeforeAll, last_event());
  arena_bytes_ = assign_offsets(lifetimes_);
}

int64_t Execution::prepared_bytes() const {
  int64_t bytes = 0;
  for (const auto& stage : stages_) bytes += stage->requirements().prepared_bytes;
  return bytes;
}

void* Execution::at(void* arena, int lifetime) const {
  return lifetime < 0 ? nullptr : static_cast<char*>(arena) + lifetimes_[lifetime].offset;
}

bool Execution::is_bound(const void* arena, Parameters& parameters) const {
  return arena == arena_ && gradient_arena_ == (plan_.options.training ? parameters.arena(Role::gradient) : nullptr);
}

void Execution::bind(void* arena, Parameters& parameters, const Controls* controls, Results* results) {
  if (is_bound(arena, parameters)) return;
  float* gradients = plan_.options.training ? parameters.arena(Role::gradient) : nullptr;
  arena_ = nullptr;  // until all stages are bound
  recordings = {};

  feed_ = {at(arena, images_life_),
           static_cast<uint8_t*>(at(arena, flip_life_)),
           static_cast<float*>(at(arena, shift_life_)),
           static_cast<int32_t*>(at(arena, labels_life_)),
           controls,
           results};
  tensors_.clear();
  gradients_.clear();
  for (size_t t = 0; t < plan_.tensors.size(); ++t) {
    const PlannedTensor& tensor = plan_.tensors[t];
    tensors_.push_back({at(arena, tensor_life_[t]), tensor.shape, tensor.storage});
    gradients_.push_back({at(arena, gradient_life_[t]), tensor.shape, Storage::activation});
  }
  image_gradient_ = static_cast<float*>(at(arena, image_gradient_life_));

  float* weights = parameters.arena(Role::parameter);
  float* bias_gradient_below = nullptr;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const PlannedStage& planned = plan_.stages[i];
    Binding binding;
    if (planned.input >= 0) {
      binding.input = tensors_[planned.input];
      binding.grad_input = gradients_[planned.input];
    } else {
      binding.grad_input = {image_gradient_, planned.input_shape, Storage::image};
    }
    if (planned.output >= 0) {
      binding.output = tensors_[planned.output];
      binding.grad_output = gradients_[planned.output];
    }
    for (int life : saved_life_[i]) binding.saved.push_back(at(arena, life));
    binding.workspace = at(arena, workspace_life_);
    if (stages_[i]->requirements().gives_bias_gradient_below) binding.grad_bias_below = bias_gradient_below;
    bias_gradient_below = nullptr;
    if (!planned.parameters.empty()) {
      const int64_t weight = parameters.entry(planned.parameters + ".weight").offset;
      const int64_t bias = parameters.entry(planned.parameters + ".bias").offset;
      binding.weight = weights + weight;
      binding.bias = weights + bias;
      if (planned.context.wants_parameter_gradients) {
        binding.grad_weight = gradients + weight;
        binding.grad_bias = bias_gradient_below = gradients + bias;
      }
    }
    binding.feed = feed_;
    check_ending(ending_);  // a stage may try plans for seconds
    stages_[i]->bind(binding);
  }
  arena_ = arena;
  gradient_arena_ = gradients;
}

void Execution::refresh(uint64_t parameters_version) {
  if (version_ == parameters_version) return;
  for (const auto& stage : stages_) stage->refresh();
  version_ = parameters_version;  // not where one has failed
}

void Execution::begin_event([[maybe_unused]] int event) {
  check_ending(ending_);
#ifdef VGGNET_DEBUG
  poison(backend_, arena_, lifetimes_, event);
#endif
}

void Execution::end_event([[maybe_unused]] int event, [[maybe_unused]] size_t stage) {
#ifdef VGGNET_DEBUG
  check_sentinels(backend_, arena_, lifetimes_, event, name_of(plan_.stages[stage].layer).c_str());
#endif
}

void Execution::forward_stage(size_t i) {
  begin_event(static_cast<int>(i));
  stages_[i]->forward();
  end_event(static_cast<int>(i), i);
}

void Execution::backward_stage(size_t i, Gradients gradients) {
  begin_event(backward_event(i));
  stages_[i]->backward(gradients);
  end_event(backward_event(i), i);
}

void Execution::forward() {
  from_labels_ = false;
  for (size_t i = 0; i < layers(); ++i) forward_stage(i);
}

void Execution::loss() {
  VGGNET_ASSERT(plan_.has_loss());
  from_labels_ = true;
  const size_t last = stages_.size() - 1;
  forward_stage(last);
  if (plan_.stages[last].in_backward) backward_stage(last, Gradients::overwrite);
}

void Execution::backward(Gradients gradients, const AtTensors& at) {
  for (size_t i = layers(); i-- > 0;) {
    const PlannedStage& planned = plan_.stages[i];
    if (gradients_[planned.output]) gradient_arrives(planned.output, at);
    if (!planned.in_backward) return;
    backward_stage(i, gradients);
    if (at.passed && planned.context.wants_parameter_gradients) at.passed(planned.parameters);
  }
}

// All of it but what is injected comes from the stage above.
void Execution::gradient_arrives(int tensor, const AtTensors& at) {
  const PlannedTensor& planned = plan_.tensors[tensor];
  const Tensor &value = tensors_[tensor], &gradient = gradients_[tensor];
  const bool pooled = std::holds_alternative<MaxPool>(plan_.stages[tensor].layer);
  const Tensor masked_by = planned.rectified && !planned.gradient_unmasked ? value : Tensor{};
  for (const NamedGradient& extra : at.injected)
    if (extra.tensor == tensor) backend_.inject(extra.nchw, masked_by, gradient);
  if (plan_.options.gradients_at.contains(planned.name)) {
    at.wanted(tensor);
    const bool wanted_below = pooled && plan_.tensors[tensor - 1].gradient_unmasked;
    if (planned.rectified && !wanted_below) backend_.mask(gradient, value);
  }
  if (at.guided && planned.rectified && !pooled) backend_.rectify(gradient);
}

std::optional<std::string> Execution::first_not_finite() {
  for (size_t i = 0; i < layers(); ++i) {
    forward_stage(i);
    if (!backend_.finite(tensors_[plan_.stages[i].output]))
      return i == 0 ? (plan_.options.from.empty() ? "the images themselves" : "the values given for '" + plan_.options.from + "'")
                    : "the output of layer '" + name_of(plan_.stages[i].layer) + "'";
  }
  if (!from_labels_) return "the gradient given to backward, or what came of it";
  loss();
  for (size_t i = layers(); i-- > 0 && plan_.stages[i].in_backward;) {
    if (!backend_.finite(gradients_[plan_.stages[i].output]))
      return "the gradient that reaches layer '" + name_of(plan_.stages[i].layer) + "'";
    backward_stage(i, Gradients::overwrite);
  }
  return std::nullopt;
}

std::vector<StageTime> Execution::profile() {
  std::vector<StageTime> times;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const PlannedStage& planned = plan_.stages[i];
    times.push_back({name_of(planned.layer), backend_.milliseconds([&] { forward_stage(i); }), 0,
                     multiply_adds(planned.layer, planned.input_shape)});
  }
  if (plan_.stages[layers() - 1].in_backward && !plan_.has_loss()) {  // any gradient takes as long
    const Tensor& gradient = gradients_[plan_.logits];
    backend_.write(std::vector<float>(gradient.shape.count()).data(), gradient);
  }
  for (size_t i = stages_.size(); i-- > 0 && plan_.stages[i].in_backward;)
    times[i].backward_ms = backend_.milliseconds([&] { backward_stage(i, Gradients::overwrite); });
  return times;
}

}  // namespace vggnet
