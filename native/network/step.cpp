// The part of Network that changes parameters.
#include <algorithm>
#include <cmath>

#include "network/network.hpp"
#include "tensor/error.hpp"

namespace vggnet {

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
  finish_update();
}

void Network::finish_update() {
  parameters_.changed();
  gradients_of_ = kNone;
  ++controls_.training_step;
  pending_ = nullptr;
}

LossAnswer Network::step(const StepCall& call) {
  const Forget forget{*backend_, call.images};
  check_before(call.images);
  const int64_t total = call.images.shape.n;
  const int64_t chunk = call.micro_batch > 0 ? std::min(call.micro_batch, total) : total;
  const PlanOptions plan_options = training_options(call.images.dtype);
  // A batch in parts has its own parts; only what is left of it, like a smaller batch, is padded.
  const auto prepared = [&](int64_t count) -> Execution& {
    return count == total || count < chunk ? prepare_at_least(call.images, count, plan_options)
                                           : prepare(call.images, count, plan_options);
  };
  Execution& first = prepared(chunk);
  Shape logits = first.plan().tensors[first.plan().logits].shape;
  logits.n = total;
  check_labels(call.labels, logits);
  set_update(call.update);
  const auto segments = parameters_.segments(call.update.rates, frozen_);
  arenas();  // velocity is allocated before the device is busy
  controls_.loss_scale = 1.0f / static_cast<float>(total);
  clear_results();
  drop_gradients();

  for (int64_t done = 0; done < total; done += chunk) {
    const int64_t count = std::min(chunk, total - done);
    Execution& execution = done == 0 ? first : prepared(count);
    controls_.first_image = done;
    feed(execution, call.images, done, count);
    feed_labels(execution, call.labels, done, count);
    write_controls();
    if (chunk == total) compute_and_update(execution, segments);
    else compute(execution, done == 0 ? Gradients::overwrite : Gradients::accumulate);
  }
  if (chunk < total) backend_->update(segments, arenas(), last_->feed());
  backend_->wait(meanwhile_);
  const Results results = read_results();
  check_after(results, call.images);
  if (results.not_finite || !std::isfinite(results.loss)) refuse_not_finite();
  finish_update();
  return answer_of(results);
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
