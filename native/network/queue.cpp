// The part of Network that fills the device's queue: what a call is fed with, and the call that begins before the one before
// it is finished.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "network/network.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

// Whether the answer holds the last tensor: the output, or one of `keep`.
bool answers_last(const ForwardCall& call, const Plan& plan) {
  return !call.only_kept || std::ranges::find(call.keep, plan.tensors[plan.logits].name) != call.keep.end();
}

Tensor first_of(Tensor tensor, int64_t images) {
  tensor.shape = tensor.shape.with_images(images);
  return tensor;
}

}  // namespace

// `count` of the images, from `first` on; the execution's other images become zero.
void Network::feed(const Execution& execution, const Images& images, int64_t first, int64_t count) {
  const Shape& shape = execution.images();
  const Feed& feed = execution.feed();
  // what is not given is zero
  const auto clear_rest = [&](const void* at, int64_t given, int64_t bytes) {
    if (given < shape.n) backend_->clear(static_cast<char*>(const_cast<void*>(at)) + given * bytes, (shape.n - given) * bytes);
  };
  const auto fill = [&](const void* at, const auto& values, int64_t each) {
    const int64_t bytes = each * int64_t{sizeof(values[0])}, given = values.empty() ? 0 : count;
    if (given > 0) backend_->upload(values.data() + first * each, const_cast<void*>(at), given * bytes);
    clear_rest(at, given, bytes);
  };
  const int64_t bytes = shape.per_image() * (images.dtype == DType::uint8 ? 1 : int64_t{sizeof(float)});
  backend_->send(images.bytes.data() + first * bytes, const_cast<void*>(feed.images), count * bytes);
  clear_rest(feed.images, count, bytes);
  fill(feed.flip, images.flip, 1);
  fill(feed.shift, images.shift, shape.c);
}

// The execution's other images count in nothing.
void Network::feed_labels(const Execution& execution, const std::vector<int32_t>& labels, int64_t first, int64_t count) {
  std::vector<int32_t> all(execution.images().n, -1);
  std::copy_n(labels.begin() + first, count, all.begin());
  backend_->upload(all.data(), const_cast<int32_t*>(execution.feed().labels), execution.images().n * int64_t{sizeof(int32_t)});
}

// What the device does not look at itself.
void Network::check_before(const Images& images) const {
  if (!backend_->checks_images()) check_finite(images);
  check_shift(images);
}

// Names the value that the device has found.
void Network::check_after(const Results& results, const Images& images) {
  if (!results.images_not_finite) return;
  clear_results();
  check_finite(images);
}

// A step in the queue is taken to succeed: if it does not, this call begins again.
void Network::write_controls() {
  Controls controls = controls_;
  controls.training_step += unfinished_steps_;
  backend_->upload(&controls, executions_.controls(), sizeof controls);
}

Feed Network::feed_of_run() const {
  Feed feed;
  feed.controls = executions_.controls();
  feed.results = executions_.results();
  return feed;
}

void Network::clear_results() {
  const Results none;
  backend_->upload(&none, executions_.results(), sizeof none);
}

// Leaves not_finite, so that a step after one that has failed changes nothing either.
void Network::clear_sums() {
  const Results none;
  backend_->upload(&none, executions_.results(), offsetof(Results, not_finite));
}

Results Network::read_results() {
  Results results;
  backend_->download(executions_.results(), &results, sizeof results);
  return results;
}

// A map of one position is a vector for the user: [n, c].
HostTensor Network::host_tensor(const Plan& plan, int index, int64_t count) {
  const Shape shape = plan.tensors[index].shape.with_images(count);
  const bool flat = shape.h == 1 && shape.w == 1 && plan.after_linear(index);
  HostTensor result;
  result.dimensions = flat ? std::vector<int64_t>{shape.n, shape.c} : std::vector<int64_t>{shape.n, shape.c, shape.h, shape.w};
  result.values.resize(shape.count());
  return result;
}

template <class Call>
Network::Begun Network::begun(const Call& call) {
  if (!ahead_) return drained([&] { return begin(call); });
  const Begun begun = std::move(*std::exchange(ahead_, std::nullopt));
  VGGNET_ASSERT(begun.call == &call);
  return begun;
}

template Network::Begun Network::begun(const StepCall&);
template Network::Begun Network::begun(const ForwardCall&);

// With memory of the host for the results and the call's answer, where it has one: before the device changes anything. The
// images are kept too: a call that was begun ahead may be refused while the device reads them.
template <class Call>
Network::Begun Network::begun_with(const Call& call, Execution& execution, int64_t answer_bytes) {
  return {&call,
          &execution,
          call.images.bytes.memory,
          host_pool_->take(sizeof(Results)),
          answer_bytes > 0 ? host_pool_->take(answer_bytes) : nullptr,
          0};
}

template Network::Begun Network::begun_with(const StepCall&, Execution&, int64_t);

// Copies the results and the call's answer to the host, and ends the call.
Network::Begun Network::queued(Begun begun, const Tensor& answer) {
  backend_->fetch(executions_.results(), begun.results->data(), sizeof(Results));
  if (answer) backend_->fetch(answer.data, begun.answer->data(), backend_->stored_bytes(answer.shape, answer.storage));
  queue_clock_.is_queued(!last_mark_ || backend_->reached(*last_mark_));
  begun.mark = backend_->mark();
  last_mark_ = begun.mark;
  return begun;
}

template <class Call>
void Network::begin_ahead(const Call& call) {
  if (!may_follow_ || ahead_ || group_ || !is_prepared(call)) return;
  followed_ = true;
  try {
    ahead_ = drained([&] { return begin(call); });
  } catch (const std::exception&) {  // it is thrown again when it is this call's turn
  }
}

template void Network::begin_ahead(const StepCall&);
template void Network::begin_ahead(const ForwardCall&);

void Network::wait(const Begun& begun) {
  followed_ = false;
  queue_clock_.waits();
  try {
    backend_->wait(begun.mark, meanwhile_);
  } catch (...) {  // nothing is known of what is in the queue
    ahead_.reset();
    unfinished_steps_ = 0;
    throw;
  }
  queue_clock_.has_ended();
}

// The call begins again at its turn. Until the device has ended it, it writes to the memory of its results and its answer, which
// other calls may take as soon as it is given back.
void Network::drop_ahead() {
  if (ahead_) backend_->wait(ahead_->mark, [] {});
  ahead_.reset();
  unfinished_steps_ = 0;
}

// Waits for all that is in the queue.
void Network::drain() noexcept {
  try {
    backend_->wait(backend_->mark(), [] {});
  } catch (const std::exception&) {  // the device computes nothing any more
  }
}

// A call that was begun ahead may be in the queue: where its turn does not come, nothing else has waited for it.
Network::~Network() { drain(); }

// Preparing may choose algorithms by trying them, and move the arena: not while a call computes in it.
bool Network::is_prepared(const ForwardCall& call) const {
  return !call.training && !call.differentiates && executions_.is_prepared_at_least(call.images.shape, options_of(call));
}

Network::Begun Network::begin(const ForwardCall& call) {
  queue_clock_.begins();
  check_before(call.images);
  const int64_t count = call.images.shape.n;
  const PlanOptions options = options_of(call);
  // backward takes gradients for just as many images as are there
  Execution& execution =
      options.has_backward() ? prepare(call.images, count, options) : prepare_at_least(call.images, count, options);
  const Tensor answer = answers_last(call, execution.plan()) ? first_of(execution.tensor(execution.plan().logits), count) : Tensor{};
  Begun begun = begun_with(call, execution, answer ? backend_->stored_bytes(answer.shape, answer.storage) : 0);
  controls_.first_image = call.first_image;
  feed(execution, call.images, 0, count);
  write_controls();
  backend_->run(execution.recordings.forward, [&] { execution.forward(); });
  return queued(std::move(begun), answer);
}

ForwardAnswer Network::forward(const ForwardCall& call) {
  const Begun begun = this->begun(call);
  may_follow_ = !call.training && call.keep.empty();  // the next call writes over the arena
  wait(begun);
  check_after(begun.reported(), call.images);

  Execution& execution = *begun.execution;
  const Plan& plan = execution.plan();
  const int64_t count = call.images.shape.n;
  ForwardAnswer result;
  if (answers_last(call, plan)) {
    HostTensor last = host_tensor(plan, plan.logits, count);
    backend_->unpack(begun.answer->data(), first_of(execution.tensor(plan.logits), count), last.values.data());
    (call.only_kept ? result.kept[plan.tensors[plan.logits].name] : result.output) = std::move(last);
  }
  for (const std::string& name : call.keep) {
    const int index = plan.tensor(name);
    if (result.kept.contains(name)) continue;
    HostTensor& kept = result.kept[name] = host_tensor(plan, index, count);
    backend_->read(first_of(execution.tensor(index), count), kept.values.data());
  }
  if (plan.options.has_backward()) pending_ = &execution;
  forward_of_ = parameters_.version();
  return result;
}

}  // namespace vggnet
