#include "stream.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "runtime/memory.hpp"
#include "runtime/state.hpp"

namespace stand_in {

struct Capture {
  CUgraph_st* graph = new CUgraph_st;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  const CUstream_st* origin;
  bool broken = false;
  std::set<CUstream_st*> streams;
};

namespace {

constexpr double kLeastCost = 0.001;
constexpr int64_t kLargeCopy = 1 << 16;  // of those that a card which computes nothing leaves out
constexpr auto kLongestDelay = std::chrono::microseconds(400);

// Of the whole process; never destroyed, because streams may run while it ends.
struct Streams {
  std::mutex mutex;  // also of all captures
  std::set<CUstream_st*> all;
  std::vector<std::shared_ptr<Capture>> captures;
  unsigned made = 0;
};
Streams& streams() {
  static auto& the_streams = *new Streams;
  return the_streams;
}

thread_local cudaStreamCaptureMode mode_of_thread = cudaStreamCaptureModeGlobal;

int64_t seed() {
  static const int64_t the_seed = number_in("VGGNET_STAND_IN_SEED", 0);
  return the_seed;
}

const bool computes_nothing = number_in("VGGNET_STAND_IN_NULL", 0) != 0;
std::atomic<bool> replayed = false;
bool is_null() { return computes_nothing && replayed; }

}  // namespace

// "Thread-local": the capturing thread may not make them. "Global": nor may any other, unless it has relaxed.
cudaError_t refused_while_capturing() {
  if (mode_of_thread == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  std::lock_guard lock(streams().mutex);
  cudaError_t refused = cudaSuccess;
  for (const auto& capture : streams().captures) {
    const bool own = capture->thread == std::this_thread::get_id() && capture->mode != cudaStreamCaptureModeRelaxed;
    const bool any = capture->mode == cudaStreamCaptureModeGlobal && mode_of_thread == cudaStreamCaptureModeGlobal;
    if (!own && !any) continue;
    capture->broken = true;
    refused = cudaErrorStreamCaptureUnsupported;
  }
  return refused;
}

cudaStreamCaptureMode exchange_capture_mode(cudaStreamCaptureMode mode) { return std::exchange(mode_of_thread, mode); }

void synchronize_all(int card) {
  std::vector<std::shared_ptr<Moment>> moments;
  {
    std::lock_guard lock(streams().mutex);
    for (CUstream_st* stream : streams().all)
      if (stream->card() == card) moments.push_back(stream->now());
  }
  for (const auto& moment : moments) moment->reached.wait(false);
}

}  // namespace stand_in

using stand_in::Capture;
using stand_in::Moment;
using stand_in::streams;
using stand_in::Work;

CUstream_st::CUstream_st(int card) : card_(card) {
  std::lock_guard lock(streams().mutex);
  random_.seed(static_cast<unsigned>(stand_in::seed()) * 7919 + ++streams().made);
  streams().all.insert(this);
  thread_ = std::thread([this] { serve(); });
}

CUstream_st::~CUstream_st() {
  {
    std::lock_guard lock(streams().mutex);
    streams().all.erase(this);
  }
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// What takes no time on a card that computes nothing is done at once, so that the host alone is measured.
void CUstream_st::push(std::function<void()> item, bool takes_no_time) {
  std::unique_lock lock(mutex_);
  if (takes_no_time && stand_in::is_null() && !busy_ && items_.empty()) {
    stand_in::let_this_thread_in();
    item();
    stand_in::keep_this_thread_out();
    return;
  }
  items_.push_back(std::move(item));
  lock.unlock();
  changed_.notify_all();
}

bool CUstream_st::is_idle() {
  std::lock_guard lock(mutex_);
  return items_.empty() && !busy_;
}

void CUstream_st::serve() {
  stand_in::set_current_card(card_);
  stand_in::let_this_thread_in();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || !items_.empty(); });
    if (items_.empty()) return;
    const std::function<void()> item = std::move(items_.front());
    items_.pop_front();
    busy_ = true;
    lock.unlock();
    item();
    lock.lock();
    busy_ = false;
  }
}

void CUstream_st::dawdle() {
  if (stand_in::seed() == 0 || random_() % 8 != 0) return;
  std::this_thread::sleep_for(stand_in::kLongestDelay * (random_() % 1000) / 1000);
}

void CUstream_st::execute(const Work& work) {
  if (stand_in::enter("work") != cudaSuccess || (stand_in::is_null() && work.copied > stand_in::kLargeCopy)) return;
  dawdle();
  const auto start = std::chrono::steady_clock::now();
  if (work.key.empty() || work.key != last_key_) work.run();
  last_key_ = work.key;
  const double taken = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  clock_ += std::max(stand_in::kLeastCost, work.cost < 0 ? taken : work.cost);
}

// Without a seed in the order of the calls; else in any that is allowed.
void CUstream_st::execute(const CUgraph_st& graph) {
  std::vector<size_t> waits(graph.nodes.size()), ready;
  std::vector<std::vector<size_t>> before(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    waits[i] = graph.nodes[i].after.size();
    for (size_t other : graph.nodes[i].after) before[other].push_back(i);
    if (waits[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const auto next = stand_in::seed() == 0 ? std::ranges::min_element(ready) : ready.begin() + random_() % ready.size();
    const size_t node = *next;
    ready.erase(next);
    execute(graph.nodes[node].work);
    for (size_t i : before[node])
      if (--waits[i] == 0) ready.push_back(i);
  }
}

cudaError_t CUstream_st::submit(Work work) {
  {
    std::lock_guard lock(streams().mutex);
    if (capture_) {
      if (capture_->broken) return cudaErrorStreamCaptureInvalidated;
      capture_->graph->nodes.push_back({std::move(work), tails_});
      tails_ = {capture_->graph->nodes.size() - 1};
      return cudaSuccess;
    }
  }
  const bool copies = work.copied >= 0;
  push([this, work = std::move(work)] { execute(work); }, copies);
  return cudaSuccess;
}

std::shared_ptr<Moment> CUstream_st::now() {
  auto moment = std::make_shared<Moment>();
  push([this, moment] {
    moment->clock = clock_;
    moment->reached = true;
    moment->reached.notify_all();
  }, true);
  return moment;
}

cudaError_t CUstream_st::record(CUevent_st& event) {
  {
    std::lock_guard lock(streams().mutex);
    event.capture = capture_;
    if (capture_) {
      event.tails = tails_;
      return capture_->broken ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
    }
  }
  event.moment = now();
  return cudaSuccess;
}

cudaError_t CUstream_st::wait_for(const CUevent_st& event) {
  {
    std::lock_guard lock(streams().mutex);
    if (event.capture || capture_) {
      if (event.capture && capture_ && event.capture != capture_) return cudaErrorStreamCaptureMerge;
      if (!event.capture) {  // it would make the graph depend on what is not in it
        capture_->broken = true;
        return cudaErrorStreamCaptureIsolation;
      }
      if (event.capture->broken) return cudaErrorStreamCaptureInvalidated;
      if (!capture_) tails_.clear();
      capture_ = event.capture;
      capture_->streams.insert(this);
      for (size_t tail : event.tails)
        if (!std::ranges::count(tails_, tail)) tails_.push_back(tail);
      return cudaSuccess;
    }
  }
  if (!event.moment) return cudaSuccess;  // never recorded
  push([this, moment = event.moment] {
    dawdle();
    moment->reached.wait(false);
    clock_ = std::max(clock_, moment->clock);
    last_key_.clear();
  }, true);
  return cudaSuccess;
}

cudaError_t CUstream_st::begin_capture(cudaStreamCaptureMode mode) {
  std::lock_guard lock(streams().mutex);
  if (capture_) {
    capture_->broken = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  capture_ = std::make_shared<Capture>();
  capture_->mode = mode;
  capture_->thread = std::this_thread::get_id();
  capture_->origin = this;
  capture_->streams = {this};
  tails_.clear();
  streams().captures.push_back(capture_);
  return cudaSuccess;
}

cudaError_t CUstream_st::end_capture(CUgraph_st** graph) {
  *graph = nullptr;
  std::lock_guard lock(streams().mutex);
  if (!capture_) return cudaErrorIllegalState;
  if (capture_->origin != this) return cudaErrorStreamCaptureUnmatched;
  if (capture_->mode != cudaStreamCaptureModeRelaxed && capture_->thread != std::this_thread::get_id())
    return cudaErrorStreamCaptureWrongThread;
  const std::shared_ptr<Capture> capture = capture_;
  const auto& nodes = capture->graph->nodes;
  std::vector<bool> joined(nodes.size());
  for (size_t tail : tails_) joined[tail] = true;
  for (size_t i = nodes.size(); i-- > 0;)
    for (size_t before : nodes[i].after) joined[before] = joined[before] || joined[i];
  for (CUstream_st* stream : capture->streams) stream->capture_ = nullptr;
  std::erase(streams().captures, capture);
  const cudaError_t status = capture->broken                          ? cudaErrorStreamCaptureInvalidated
                             : std::ranges::count(joined, false) > 0 ? cudaErrorStreamCaptureUnjoined
                                                                      : cudaSuccess;
  if (status == cudaSuccess) *graph = capture->graph;
  else stand_in::destroy(capture->graph);
  return status;
}

cudaStreamCaptureStatus CUstream_st::capture_status(CUgraph_st** graph) const {
  std::lock_guard lock(streams().mutex);
  if (graph) *graph = capture_ && !capture_->broken ? capture_->graph : nullptr;
  if (!capture_) return cudaStreamCaptureStatusNone;
  return capture_->broken ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
}

cudaError_t CUstream_st::replay(std::shared_ptr<const CUgraph_st> graph) {
  if (stand_in::computes_nothing) {
    stand_in::replayed = true;
    return cudaSuccess;
  }
  push([this, graph = std::move(graph)] { execute(*graph); }, false);
  return cudaSuccess;
}
