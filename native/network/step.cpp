// The part of Network that changes parameters.
#include <algorithm>
#include <cmath>

#include "network/network.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

int64_t chunk_of(const StepCall& call) {
  const int64_t total = call.images.shape.n;
  return call.micro_batch > 0 ? std::min(call.micro_batch, total) : total;
}

}  // namespace

void Network::set_update(const UpdateCall& call) {
  controls_.rate = call.rate;
  controls_.momentum = call.momentum;
  controls_.decay = call.decay;
  for (const auto& [layer, rate] : call.rates)
    if (!parameters_.has_layer(layer))
      throw Error(kInvalidArgument, "Expected layers with parameters for rates but received '" + layer + "'");
}

Arenas Network::arenas() {
  return {parameters_.arena(Role::parameter), parameters_.arena(Role::velocity), parameters_.arena(Role::gradient)};
}

void Network::update(const UpdateCall& call) {
  check_gradients("update");
  set_update(call);
  write_controls();
  clear_results();
  Feed feed;
  feed.controls = executions_.controls();
  feed.results = executions_.results();
  backend_->update(parameters_.segments(call.rates, frozen_), arenas(), feed);
  if (read_results().not_finite) refuse_not_finite();
  parameters_.changed();
  finish_update();
}

void Network::finish_update() {
  gradients_of_ = kNone;
  ++controls_.training_step;
  pending_ = nullptr;
}

bool Network::is_prepared(const StepCall& call) const {
  const int64_t total = call.images.shape.n, chunk = chunk_of(call);
  const auto prepared = [&](int64_t count) {
    Shape shape = call.images.shape;
    shape.n = count;
    return executions_.is_prepared(shape, training_options(call.images.dtype));
  };
  return prepared(chunk) && (total % chunk == 0 || prepared(total % chunk));
}

// compute(execution, gradients) after each is fed.
template <class Compute>
void Network::for_each_micro_batch(const StepCall& call, const Compute& compute) {
  const int64_t total = call.images.shape.n, chunk = chunk_of(call);
  const PlanOptions options = training_options(call.images.dtype);
  controls_.loss_scale = 1.0f / static_cast<float>(total);
  for (int64_t done = 0; done < total; done += chunk) {
    Execution& execution = prepare(call.images, std::min(chunk, total - done), options);
    controls_.first_image = done;
    feed(execution, call.images, done);
    feed_labels(execution, call.labels, done);
    write_controls();
    compute(execution, done == 0 ? Gradients::overwrite : Gradients::accumulate);
  }
}

Network::Begun Network::begin(const StepCall& call) {
  queue_clock_.begins();
  check_finite(call.images);
  const Execution& first = prepare(call.images, chunk_of(call), training_options(call.images.dtype));
  Shape logits = first.plan().tensors[first.plan().logits].shape;
  logits.n = call.images.shape.n;
  check_labels(call.labels, logits);
  set_update(call.update);
  const auto segments = parameters_.segments(call.update.rates, frozen_);
  arenas();  // velocity is allocated before the device is busy
  unfinished_steps_ == 0 ? clear_results() : clear_sums();
  drop_gradients();

  if (chunk_of(call) == call.images.shape.n) {
    for_each_micro_batch(call, [&](Execution& execution, Gradients) { compute_and_update(execution, segments); });
  } else {
    for_each_micro_batch(call, [&](Execution& execution, Gradients mode) { compute(execution, mode); });
    backend_->update(segments, arenas(), last_->feed());
  }
  parameters_.changed();
  const Begun begun = queued(&call, *last_, executions_.results(), sizeof(Results));
  ++unfinished_steps_;
  return begun;
}

LossAnswer Network::step(const StepCall& call) {
  const Begun begun = this->begun(call);
  may_follow_ = true;
  wait(begun);
  --unfinished_steps_;
  const Results results = *static_cast<const Results*>(begun.answer->data());
  if (results.not_finite || !std::isfinite(results.loss)) {
    if (followed_) recompute(call);
    refuse_not_finite();
  }
  finish_update();
  return answer_of(results);
}

// As the device was left by this step: the call that began after it has changed no parameter, and begins again.
void Network::recompute(const StepCall& call) {
  ahead_.reset();
  unfinished_steps_ = 0;
  clear_results();
  for_each_micro_batch(call, [&](Execution& execution, Gradients mode) { compute(execution, mode); });
}

// Gradients of the micro-batch that was fed.
void Network::compute(Execution& execution, Gradients mode) {
  auto& recordings = execution.recordings;
  backend_->run(mode == Gradients::overwrite ? recordings.part : recordings.accumulate_part, [&] {
    execution.forward();
    execution.loss();
    execution.backward(mode, {});
  });
}

// The usual step is one recording; what it updates is fixed in it.
void Network::compute_and_update(Execution& execution, const std::vector<Segment>& segments) {
  auto& recordings = execution.recordings;
  if (recordings.updated != segments) recordings.step = nullptr;
  recordings.updated = segments;
  backend_->run(recordings.step, [&] {
    execution.forward();
    execution.loss();
    execution.backward(Gradients::overwrite, {});
    backend_->update(segments, arenas(), execution.feed());
  });
}

}  // namespace vggnet
