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

bool is_padded(const StepCall& call, int64_t count) { return count == call.images.shape.n || count < chunk_of(call); }

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

// A batch in parts has its own parts; only what is left of it, like a smaller batch, is padded.
Execution& Network::prepare_part(const StepCall& call, int64_t count) {
  const PlanOptions options = training_options(call.images);
  return is_padded(call, count) ? prepare_at_least(call.images, count, options) : prepare(call.images, count, options);
}

bool Network::is_prepared(const StepCall& call) const {
  const PlanOptions options = training_options(call.images);
  const auto prepared = [&](int64_t count) {
    const Shape images = call.images.shape.with_images(count);
    return is_padded(call, count) ? executions_.is_prepared_at_least(images, options) : executions_.is_prepared(images, options);
  };
  const int64_t chunk = chunk_of(call), rest = call.images.shape.n % chunk;
  return prepared(chunk) && (rest == 0 || prepared(rest));
}

// compute(execution, gradients) after each micro-batch is fed. prepare_count(count) gives the executions after the first.
template <class Prepare, class Compute>
void Network::for_each_micro_batch(const StepCall& call, Execution& first, const Prepare& prepare_count, const Compute& compute) {
  const int64_t total = call.images.shape.n, chunk = chunk_of(call);
  controls_.loss_scale = 1.0f / static_cast<float>(total);
  for (int64_t done = 0; done < total; done += chunk) {
    const int64_t count = std::min(chunk, total - done);
    Execution& execution = done == 0 ? first : prepare_count(count);
    controls_.first_image = done;
    feed(execution, call.images, done, count);
    feed_labels(execution, call.labels, done, count);
    write_controls();
    compute(execution, done == 0 ? Gradients::overwrite : Gradients::accumulate);
  }
}

Network::Begun Network::begin(const StepCall& call) {
  queue_clock_.begins();
  check_before(call.images);
  const auto prepare_count = [&](int64_t count) -> Execution& { return prepare_part(call, count); };
  Execution& first = prepare_count(chunk_of(call));
  const Shape& logits = first.plan().tensors[first.plan().logits].shape;
  check_labels(call.labels, logits.with_images(call.images.shape.n), call.images.shape);
  set_update(call.update);
  const auto segments = parameters_.segments(call.update.rates, frozen_);
  arenas();  // velocity is allocated before the device is busy
  Begun begun = begun_with(call, first, 0);
  unfinished_steps_ == 0 ? clear_results() : clear_sums();
  drop_gradients();

  if (chunk_of(call) == call.images.shape.n) {
    for_each_micro_batch(call, first, prepare_count,
                         [&](Execution& execution, Gradients) { compute_and_update(execution, segments); });
  } else {
    for_each_micro_batch(call, first, prepare_count, [&](Execution& execution, Gradients mode) { compute(execution, mode); });
    backend_->update(segments, arenas(), last_->feed());
  }
  parameters_.changed();
  begun.execution = last_;
  begun = queued(std::move(begun), {});
  ++unfinished_steps_;
  return begun;
}

LossAnswer Network::step(const StepCall& call) {
  const Begun begun = this->begun(call);
  may_follow_ = true;
  wait(begun);
  --unfinished_steps_;
  const Results results = begun.reported();
  if (results.images_not_finite) {  // the call after it has changed no parameter and begins again
    drop_ahead();
    check_after(results, call.images);
  }
  if (results.not_finite || !std::isfinite(results.loss)) {
    if (followed_) drained([&] { recompute(call, begun.execution->images().n); });
    refuse_not_finite();
  }
  finish_update();
  return answer_of(results);
}

// What this step has left on the device, where the call after it, which has changed no parameter and begins again, has left
// its own. `last`: images of the last execution, padding included.
void Network::recompute(const StepCall& call, int64_t last) {
  drop_ahead();
  clear_results();
  const auto prepare_count = [&](int64_t count) -> Execution& {
    return prepare(call.images, is_padded(call, count) ? last : count, training_options(call.images));
  };
  for_each_micro_batch(call, prepare_count(chunk_of(call)), prepare_count,
                       [&](Execution& execution, Gradients mode) { compute(execution, mode); });
}

// Gradients of the micro-batch that was fed.
void Network::compute(Execution& execution, Gradients mode) {
  auto& recordings = execution.recordings;
  backend_->run(mode == Gradients::overwrite ? recordings.part : recordings.accumulate_part, [&] {
    execution.forward();
    execution.loss();
    execution.backward(mode);
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
    execution.backward(Gradients::overwrite);
    backend_->update(segments, arenas(), execution.feed());
  });
}

}  // namespace vggnet
