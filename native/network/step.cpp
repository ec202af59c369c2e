// The part of Network that changes parameters.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "network/gradient_sums.hpp"
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
  if (group_) GradientSums(*group_, parameters_, frozen_).finish();
  backend_->update(parameters_.segments(call.rates, frozen_), arenas(), feed_of_run());
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
void Network::for_each_micro_batch(const StepCall& call, const Share& share, Execution& first, const Prepare& prepare_count, const Compute& compute) {
  const int64_t total = call.images.shape.n, chunk = chunk_of(call);
  controls_.loss_scale = 1.0f / static_cast<float>(share.batch);
  for (int64_t done = 0; done < total; done += chunk) {
    const int64_t count = std::min(chunk, total - done);
    Execution& execution = done == 0 ? first : prepare_count(count);
    controls_.first_image = share.first + done;
    feed(execution, call.images, done, count);
    feed_labels(execution, call.labels, done, count);
    write_controls();
    compute(execution, done == 0 ? Gradients::overwrite : Gradients::accumulate);
  }
}

// All that may be refused; the device's memory is as it was, and velocity is allocated.
Network::PreparedStep Network::prepare_step(const StepCall& call) {
  Execution* first = nullptr;
  if (call.images.shape.n > 0) {
    check_before(call.images);
    first = &prepare_part(call, chunk_of(call));
    const Shape& logits = first->plan().tensors[first->plan().logits].shape;
    check_labels(call.labels, logits.with_images(call.images.shape.n), call.images.shape);
  }
  set_update(call.update);
  arenas();
  return {first, parameters_.segments(call.update.rates, frozen_)};
}

Network::Begun Network::begin(const StepCall& call) {
  queue_clock_.begins();
  const auto [prepared, segments] = prepare_step(call);
  VGGNET_ASSERT(prepared);
  Execution& first = *prepared;
  const Share all = {0, call.images.shape.n};
  const auto prepare_count = [&](int64_t count) -> Execution& { return prepare_part(call, count); };
  Begun begun = begun_with(call, first, 0);
  unfinished_steps_ == 0 ? clear_results() : clear_sums();
  drop_gradients();

  if (chunk_of(call) == call.images.shape.n) {
    for_each_micro_batch(call, all, first, prepare_count,
                         [&](Execution& execution, Gradients) { compute_and_update(execution, segments); });
  } else {
    for_each_micro_batch(call, all, first, prepare_count, [&](Execution& execution, Gradients mode) { compute(execution, mode); });
    backend_->update(segments, arenas(), last_->feed());
  }
  parameters_.changed();
  begun.execution = last_;
  begun = queued(std::move(begun), {});
  ++unfinished_steps_;
  return begun;
}

StepAnswer Network::step(const StepCall& call) {
  if (group_) return shared_step(call);
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
  return {answer_of(results), call.images.shape.n, call.stops, {call.note}};
}

namespace {

template <class Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class Value>
Value value_in(const std::string& bytes) {
  VGGNET_ASSERT(bytes.size() == sizeof(Value));
  Value value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

struct Asked {
  int64_t images, stops;
};

// A message of `asked` and a note.
Asked asked_in(const std::string& message) { return value_in<Asked>(message.substr(0, sizeof(Asked))); }

}  // namespace

// Every rank makes the same calls of the group, whatever its images are.
StepAnswer Network::shared_step(const StepCall& call) {
  PreparedStep prepared;
  const auto ranks = agree(*group_, [&] {
    prepared = prepare_step(call);
    return bytes_of(Asked{call.images.shape.n, call.stops}) + call.note;
  });
  StepAnswer answer;
  Share share{};
  for (int rank = 0; rank < group_->size(); ++rank) {
    const auto [images, stops] = asked_in(ranks[rank]);
    answer.notes.push_back(ranks[rank].substr(sizeof(Asked)));
    if (rank < group_->rank()) share.first += images;
    share.batch += images;
    answer.stops |= stops != 0;
  }
  answer.images = share.batch;
  if (share.batch == 0) return answer;
  clear_results();
  drop_gradients();
  try {
    compute_shared(call, share, prepared);
  } catch (const Error& error) {  // the other ranks wait for sums that this one does not make
    group_->fail(error);
    throw;
  }
  const bool is_mine = !std::isfinite(read_results().loss);
  const Results sum = sum_results();
  backend_->upload(&sum, executions_.results(), sizeof sum);
  backend_->update(prepared.segments, arenas(), feed_of_run());
  if (read_results().not_finite) refuse_shared(is_mine, !std::isfinite(sum.loss));
  parameters_.changed();
  finish_update();
  answer.loss = answer_of(sum);
  return answer;
}

void Network::compute_shared(const StepCall& call, const Share& share, const PreparedStep& prepared) {
  GradientSums sums(*group_, parameters_, frozen_);
  const int64_t count = call.images.shape.n;
  if (count == 0) {
    write_controls();  // of the update
    for (const Segment& segment : prepared.segments)
      backend_->clear(parameters_.arena(Role::gradient) + segment.offset, segment.count * int64_t{sizeof(float)});
    return sums.finish();
  }
  const int64_t last = (count - 1) / chunk_of(call) * chunk_of(call);
  const auto prepare_count = [&](int64_t part) -> Execution& { return prepare_part(call, part); };
  for_each_micro_batch(call, share, *prepared.first, prepare_count, [&](Execution& execution, Gradients mode) {
    if (controls_.first_image != share.first + last) return compute(execution, mode);
    std::unique_ptr<Recording> not_kept;
    backend_->run(not_kept, [&] {
      execution.forward();
      execution.loss();
      execution.backward(mode, {.passed = [&](const std::string& layer) { sums.ready(layer); }});
    });
  });
  sums.finish();
}

// Of all ranks, added in their order.
Results Network::sum_results() {
  Results sum;
  for (const std::string& bytes : group_->gather(bytes_of(read_results()))) {
    const auto results = value_in<Results>(bytes);
    sum.loss += results.loss;
    sum.correct += results.correct;
    sum.correct5 += results.correct5;
    sum.images_not_finite += results.images_not_finite;
  }
  return sum;
}

// The sum of gradients is the same on all ranks; where it came from shows where a loss was not finite.
void Network::refuse_shared(bool is_mine, bool is_anyones) {
  agree(*group_, [&]() -> std::string {
    if (is_mine || !is_anyones) refuse_not_finite();
    pending_ = nullptr;
    drop_gradients();
    return "";
  });
  throw Error(kInternal, "no rank has found what was not finite");
}

void Network::check_same_parameters() {
  if (!group_) return;
  const auto ranks = agree(*group_, [&] { return bytes_of(parameters_.digest()); });
  std::string others;
  for (int rank = 1; rank < group_->size(); ++rank)
    if (ranks[rank] != ranks[0]) others += (others.empty() ? "" : ", ") + group_->name_of(rank);
  if (!others.empty())
    throw Error(kGroupMismatch, "Expected the same parameters on all ranks but those of " + others + " differ from those of " + group_->name_of(0));
}

// What this step has left on the device, where the call after it, which has changed no parameter and begins again, has left
// its own. `last`: images of the last execution, padding included.
void Network::recompute(const StepCall& call, int64_t last) {
  drop_ahead();
  clear_results();
  const auto prepare_count = [&](int64_t count) -> Execution& {
    return prepare(call.images, is_padded(call, count) ? last : count, training_options(call.images));
  };
  for_each_micro_batch(call, {0, call.images.shape.n}, prepare_count(chunk_of(call)), prepare_count,
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
