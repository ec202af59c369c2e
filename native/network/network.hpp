#pragma once
// Order and memory of a computation. Not thread-safe: one thread makes all calls.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "group/communicator.hpp"
#include "network/calls.hpp"
#include "network/executions.hpp"
#include "network/parameters.hpp"
#include "network/queue_clock.hpp"

namespace vggnet {

struct NetworkOptions {
  uint64_t seed = 0;  // of dropout
  bool exact = false;
  int64_t memory_limit = 0;  // bytes; 0: what the device has
  const std::atomic<bool>* ending = nullptr;  // as DeviceOptions::ending
  Communicator* group = nullptr;  // ranks that compute the steps of this network together; it outlives the network
};

class Network {
 public:
  Network(std::vector<Layer>, std::unique_ptr<Backend>, const NetworkOptions&);
  ~Network();

  std::string device() const { return backend_->name(); }
  Precision precision() const { return backend_->precision(); }
  int threads() const { return backend_->threads(); }
  Parameters& parameters() { return parameters_; }
  // A copy of an array, in logical order. Of a gradient: STATE unless it is valid (below).
  HostTensor read(Role, const std::string& name);
  uint64_t training_step() const { return controls_.training_step; }
  void set_training_step(uint64_t);

  // Keeps what backward needs if call.training or call.differentiates; any other pass, and any change of the parameters, drops it.
  ForwardAnswer forward(const ForwardCall&);
  // Leaves gradients, which are valid until the parameters, or which of them are frozen, change. Accumulation adds to
  // gradients that are valid; after an update or step, or where there was no backward pass yet, it starts from zero.
  // STATE without a forward pass in training before it, or where gradients to add to have become invalid.
  BackwardAnswer backward(const BackwardCall&);
  // After forward(call.differentiates): the gradients of the tensors and images that it named. Those of the parameters stay.
  VjpAnswer vjp(const VjpCall&);
  // STATE without valid gradients; NOT_FINITE: nothing was changed. In a group, of the sum of all ranks' gradients.
  void update(const UpdateCall&);
  // Forward, loss, backward, update. In a group the images are this rank's part of the batch, which may be empty; what fails on
  // one rank before it computes is thrown on all.
  StepAnswer step(const StepCall&);
  // Without a group, nothing. GROUP_MISMATCH unless all ranks have the same parameters, bit for bit.
  void check_same_parameters();
  // What forward and step do again and again while the device computes.
  void set_meanwhile(std::function<void()> meanwhile) { meanwhile_ = std::move(meanwhile); }
  // Asks the device for the next call while the one before it computes, so that the device never waits for the host. To be
  // called by `meanwhile`; the same object must be the next call. Nothing is different afterwards but time: where this call
  // would disturb the one before it, or fails, it begins at its turn instead.
  template <class Call>
  void begin_ahead(const Call&);  // StepCall, ForwardCall
  void freeze(std::set<std::string> layers);     // just these layers; INVALID_ARGUMENT for a layer without parameters
  std::vector<StageTime> profile(const ForwardCall&);  // each stage alone, after one run that is not counted
  int64_t held_bytes() const;                          // of the device's memory, and what stages hold
  std::shared_ptr<HostPool> host_pool() const { return host_pool_; }  // for the data of calls
  std::vector<QueueTime> take_queue_times();           // of the forward passes and steps since the last time

 private:
  PlanOptions evaluation_options(const Images&) const;
  PlanOptions training_options(const Images&) const;
  PlanOptions options_of(const ForwardCall&) const;
  Execution& prepare(const Images&, int64_t count, const PlanOptions&);
  Execution& prepare_at_least(const Images&, int64_t count, const PlanOptions&);

  // A call that the device has been asked for.
  struct Begun {
    const void* call;
    Execution* execution;  // the last one
    std::shared_ptr<Memory> images, results, answer;  // answer: logits as stored, or nothing
    uint64_t mark;

    const Results& reported() const { return *static_cast<const Results*>(results->data()); }
  };
  template <class Call>
  Begun begun(const Call&);  // ahead, or now
  Begun begin(const StepCall&);
  Begun begin(const ForwardCall&);
  template <class Call>
  Begun begun_with(const Call&, Execution&, int64_t answer_bytes);
  Begun queued(Begun, const Tensor& answer);
  struct PreparedStep {
    Execution* first;
    std::vector<Segment> segments;
  };
  PreparedStep prepare_step(const StepCall&);
  // A rank's images in the batch of the group.
  struct Share {
    int64_t first, batch;
  };
  StepAnswer shared_step(const StepCall&);
  void compute_shared(const StepCall&, const Share&, const PreparedStep&);
  Results sum_results();
  [[noreturn]] void refuse_shared(bool is_mine, bool is_anyones);
  bool is_prepared(const StepCall&) const;
  bool is_prepared(const ForwardCall&) const;
  void wait(const Begun&);
  void drop_ahead();
  void drain() noexcept;
  // What work() gives. Where it fails, the device has read what it was sent before the call gives it back.
  template <class Work>
  auto drained(const Work& work) {
    try {
      return work();
    } catch (...) {
      drain();
      throw;
    }
  }
  void recompute(const StepCall&, int64_t last);

  void feed(const Execution&, const Images&, int64_t first, int64_t count);
  void feed_labels(const Execution&, const std::vector<int32_t>&, int64_t first, int64_t count);
  void check_before(const Images&) const;
  void check_after(const Results&, const Images&);
  void write_controls();
  Feed feed_of_run() const;  // of an update that belongs to no execution
  void clear_results();
  void clear_sums();
  Results read_results();
  static LossAnswer answer_of(const Results& results) { return {results.loss, results.correct, results.correct5}; }
  void set_update(const UpdateCall&);
  void write_gradient(const Execution&, const HostTensor&);
  HostTensor image_gradient(const Execution&);  // empty where it was not asked for
  std::vector<NamedGradient> injections(const Execution&, const std::map<std::string, HostTensor>&) const;
  static HostTensor host_tensor(const Plan&, int tensor, int64_t count);  // of its size, for that number of images
  Arenas arenas();
  Execution& prepare_part(const StepCall&, int64_t count);
  template <class Prepare, class Compute>
  void for_each_micro_batch(const StepCall&, const Share&, Execution& first, const Prepare&, const Compute&);
  void compute(Execution&, Gradients);
  void compute_and_update(Execution&, const std::vector<Segment>&);
  void finish_update();
  void check_gradients(const std::string& call) const;
  void drop_gradients();
  std::string first_not_finite();
  [[noreturn]] void refuse_not_finite();

  // Instead of a version of the parameters, which count from 1: no gradients since the last update, or invalid ones.
  static constexpr uint64_t kNone = 0, kDropped = ~uint64_t{0};

  std::vector<Layer> layers_;
  bool exact_;
  Communicator* group_;
  std::unique_ptr<Backend> backend_;
  Parameters parameters_;
  Executions executions_;
  std::shared_ptr<HostPool> host_pool_;
  std::set<std::string> frozen_;
  Controls controls_;
  std::function<void()> meanwhile_ = [] {};
  bool may_follow_ = false, followed_ = false;  // the call that is waited for: whether the next may begin, and was tried
  std::optional<Begun> ahead_;
  int unfinished_steps_ = 0;      // in the device's queue
  std::optional<uint64_t> last_mark_;
  QueueClock queue_clock_;
  Execution* pending_ = nullptr;  // has a forward pass in training that backward may follow
  uint64_t forward_of_ = 0;       // version of the parameters that it saw
  uint64_t gradients_of_ = kNone;  // version of the parameters that the gradients belong to
  Execution* last_ = nullptr;     // ran last: its images are still in the arena
};

}  // namespace vggnet
