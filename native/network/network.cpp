#include "network/network.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/error.hpp"

namespace vggnet {
namespace {

std::vector<Layer> checked(std::vector<Layer> layers) {
  check_layers(layers);
  return layers;
}

}  // namespace

Network::Network(std::vector<Layer> layers, std::unique_ptr<Backend> backend, const NetworkOptions& options)
    : layers_(checked(std::move(layers))),
      exact_(options.exact),
      group_(options.group),
      backend_(std::move(backend)),
      parameters_(*backend_, layers_),
      executions_(*backend_, layers_, parameters_, options.memory_limit, options.ending),
      host_pool_(std::make_shared<HostPool>(*backend_)) {
  controls_.seed = options.seed;
}

PlanOptions Network::evaluation_options(const Images& images) const {
  PlanOptions options;
  options.images = images.dtype;
  options.from = images.from;
  options.exact = exact_;
  return options;
}

PlanOptions Network::training_options(const Images& images) const {
  PlanOptions options = evaluation_options(images);
  options.training = true;
  options.frozen = frozen_;
  return options;
}

PlanOptions Network::options_of(const ForwardCall& call) const {
  PlanOptions options = call.training ? training_options(call.images) : evaluation_options(call.images);
  std::set<std::string> keep(call.keep.begin(), call.keep.end());
  keep.insert(call.cotangents_at.begin(), call.cotangents_at.end());
  keep.insert(call.gradients_at.begin(), call.gradients_at.end());
  options.keep.assign(keep.begin(), keep.end());
  options.wants_image_gradient = call.wants_image_gradient;
  options.only_kept = call.only_kept && !keep.empty();
  options.differentiates = call.differentiates;
  options.gradients_at = call.gradients_at;
  return options;
}

Execution& Network::prepare(const Images& images, int64_t count, const PlanOptions& options) {
  pending_ = last_ = nullptr;  // the next call overwrites the arena
  return *(last_ = &executions_.get(images.shape.with_images(count), options));
}

Execution& Network::prepare_at_least(const Images& images, int64_t count, const PlanOptions& options) {
  pending_ = last_ = nullptr;
  return *(last_ = &executions_.at_least(images.shape.with_images(count), options));
}

BackwardAnswer Network::backward(const BackwardCall& call) {
  if (!pending_ || pending_->plan().options.differentiates)
    throw Error(kState, "backward needs a forward(x, { training: true }) just before it, and has none");
  if (forward_of_ != parameters_.version())
    throw Error(kState, "backward needs the parameters that its forward pass saw, but they were changed: call forward again");
  Execution& execution = *pending_;
  const Plan& plan = execution.plan();
  const Shape logits = plan.tensors[plan.logits].shape;
  const bool from_labels = call.gradient.values.empty();
  if (from_labels) check_labels(call.labels, logits, execution.images());
  const auto injected = injections(execution, call.inject);
  const bool accumulates = call.accumulate && gradients_of_ != kNone;
  if (accumulates) check_gradients("backward with accumulate");
  gradients_of_ = kDropped;  // until all are there

  controls_.loss_scale = 1.0f / static_cast<float>(call.batch > 0 ? call.batch : logits.n);
  write_controls();
  clear_results();
  if (from_labels) {
    feed_labels(execution, call.labels, 0, logits.n);
    backend_->run(execution.recordings.loss, [&] { execution.loss(); });
  } else {
    write_gradient(execution, call.gradient);
  }
  const Gradients mode = accumulates ? Gradients::accumulate : Gradients::overwrite;
  auto& recordings = execution.recordings;
  if (injected.empty()) {
    backend_->run(accumulates ? recordings.accumulate : recordings.backward, [&] { execution.backward(mode); });
  } else {
    execution.backward(mode, {.injected = injected});  // takes host memory of this call: not to be replayed
  }
  pending_ = nullptr;

  BackwardAnswer result;
  result.loss = answer_of(read_results());
  if (!std::isfinite(result.loss.loss)) refuse_not_finite();
  gradients_of_ = parameters_.version();
  result.image_gradient = image_gradient(execution);
  return result;
}

HostTensor Network::image_gradient(const Execution& execution) {
  HostTensor result;
  if (!execution.image_gradient()) return result;
  const Shape shape = execution.images();
  result.dimensions = {shape.n, shape.c, shape.h, shape.w};
  result.values.resize(shape.count());
  backend_->download(execution.image_gradient(), result.values.data(), shape.count() * int64_t{sizeof(float)});
  return result;
}

void Network::write_gradient(const Execution& execution, const HostTensor& gradient) {
  const Plan& plan = execution.plan();
  const PlannedTensor& logits = plan.tensors[plan.logits];
  check_size("the gradient of the network's output", gradient, logits.shape);
  check_finite("the gradient of the network's output", gradient.values.data(), logits.shape.count());
  if (!execution.gradient(plan.logits)) return;  // everything is frozen
  std::vector<float> values = gradient.values;
  if (logits.rectified) {  // the stage expects it with respect to its pre-activation
    std::vector<float> output(values.size());
    backend_->read(execution.tensor(plan.logits), output.data());
    for (size_t i = 0; i < values.size(); ++i) values[i] = output[i] > 0 ? values[i] * logits.mask_scale : 0;
  }
  backend_->write(values.data(), execution.gradient(plan.logits));
}

std::vector<NamedGradient> Network::injections(const Execution& execution,
                                               const std::map<std::string, HostTensor>& named) const {
  const Plan& plan = execution.plan();
  std::vector<NamedGradient> result;
  for (const auto& [name, gradient] : named) {
    const int index = plan.tensor(name);
    if (index < 0 || !plan.tensors[index].kept)
      throw Error(kState, "a gradient can be given at '" + name + "' only if forward was asked to keep it: forward(x, { training: true, keep: ['" + name + "'] })");
    const std::string what = "the gradient injected at '" + name + "'";
    check_size(what, gradient, plan.tensors[index].shape);
    check_finite(what, gradient.values.data(), plan.tensors[index].shape.count());
    if (execution.gradient(index)) result.push_back({index, gradient.values.data()});  // else nothing below learns
  }
  return result;
}

// oneDNN's ReLU turns NaN into 0: what is wrong with a weight need not show in what follows, so weights come first.
std::string Network::first_not_finite() {
  if (const auto name = parameters_.first_not_finite(Role::parameter)) return "the parameter '" + *name + "'";
  const auto gradient = parameters_.first_not_finite(Role::gradient);  // the replay writes over them
  if (last_ && last_->plan().options.training)
    if (const auto found = last_->first_not_finite()) return *found;
  if (gradient) return "the gradient of '" + *gradient + "'";
  if (const auto name = parameters_.first_not_finite(Role::velocity)) return "the velocity of '" + *name + "'";
  return "a weight after the update (the step is too large)";
}

void Network::refuse_not_finite() {
  const std::string first = first_not_finite();
  pending_ = nullptr;
  drop_gradients();
  throw Error(kNotFinite, "training step " + std::to_string(controls_.training_step) +
                              " has led to a loss, a gradient or a weight that is not finite, so no parameter was changed; the first: " + first +
                              "; a smaller learning rate may help");
}

void Network::freeze(std::set<std::string> layers) {
  for (const std::string& layer : layers)
    if (!parameters_.has_layer(layer))
      throw Error(kInvalidArgument, "Expected layers with parameters for freeze but received '" + layer + "'");
  if (layers == frozen_) return;
  frozen_ = std::move(layers);
  pending_ = nullptr;
  drop_gradients();
}

void Network::set_training_step(uint64_t step) {
  controls_.training_step = step;
  pending_ = nullptr;  // its dropout masks are those of the step that it saw
}

HostTensor Network::read(Role role, const std::string& name) {
  const Parameter& parameter = parameters_.entry(name).parameter;
  if (role == Role::gradient) {
    check_gradients("the gradient of '" + name + "'");
    if (frozen_.contains(parameter.layer)) throw Error(kState, "the layer '" + parameter.layer + "' is frozen: it has no gradient");
  }
  return {parameter.dimensions(), parameters_.read(role, name)};
}

void Network::check_gradients(const std::string& call) const {
  if (gradients_of_ == parameters_.version()) return;
  throw Error(kState, call + (gradients_of_ == kNone
                                  ? " needs a backward pass before it, and there was none since the last update or step"
                                  : " needs valid gradients, but the parameters or the frozen layers were changed, or a call "
                                    "failed, after the backward pass: call forward and backward again"));
}

void Network::drop_gradients() {
  if (gradients_of_ != kNone) gradients_of_ = kDropped;
}

std::vector<StageTime> Network::profile(const ForwardCall& call) {
  const int64_t count = call.images.shape.n;
  Execution& execution = prepare(call.images, count, options_of(call));
  feed(execution, call.images, 0, count);
  feed_labels(execution, std::vector<int32_t>(count), 0, count);
  write_controls();
  drop_gradients();
  execution.forward();
  return execution.profile();
}

std::vector<QueueTime> Network::take_queue_times() { return queue_clock_.take(); }

int64_t Network::held_bytes() const { return parameters_.held_bytes() + executions_.held_bytes(); }

}  // namespace vggnet
