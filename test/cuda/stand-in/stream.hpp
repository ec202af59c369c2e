#pragma once
// Streams, events and graphs of the stand-in's runtime. A stream is a thread that executes what it is given in order; the
// thread that gives it goes on. While a stream is captured nothing is executed: a graph takes it down, and each replay
// executes all of it, in one of the orders that its dependencies allow.
//
// The card's clock runs in milliseconds that work costs; times are the same however busy the machine is.
#include <driver_types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace stand_in {

struct Work {
  std::function<void()> run;
  double cost = -1;           // in the card's milliseconds; negative: as long as it takes
  std::vector<uint64_t> key;  // where not empty: after work of the same key, on the same stream, it changes nothing
  int64_t copied = -1;        // bytes, of a copy
};

// When a stream has come to a record of an event.
struct Moment {
  std::atomic<bool> reached = false;
  double clock = 0;
};

struct Capture;

// Calls that a thread may not make while it captures: what they give, having spoilt the captures.
cudaError_t refused_while_capturing();
cudaStreamCaptureMode exchange_capture_mode(cudaStreamCaptureMode);

void synchronize_all(int card);

// A call of the runtime's that puts work on a stream; the error is for cudaGetLastError as well.
cudaError_t launch(cudaStream_t, const char* call, Work);

}  // namespace stand_in

struct CUgraph_st {
  struct Node {
    stand_in::Work work;
    std::vector<size_t> after;
  };
  std::vector<Node> nodes;
  std::vector<cudaUserObject_t> kept;
};

namespace stand_in {
void destroy(const CUgraph_st*);
}

struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
};

struct CUevent_st {
  bool timed = true;
  std::shared_ptr<stand_in::Moment> moment;
  std::shared_ptr<stand_in::Capture> capture;  // where it was recorded last, and after which nodes
  std::vector<size_t> tails;
};

struct CUstream_st {
 public:
  explicit CUstream_st(int card);
  ~CUstream_st();  // executes what is left
  CUstream_st(const CUstream_st&) = delete;
  CUstream_st& operator=(const CUstream_st&) = delete;

  int card() const { return card_; }
  bool is_idle();
  void enqueue(std::function<void()> run) { submit({std::move(run)}); }
  cudaError_t submit(stand_in::Work);
  cudaError_t record(CUevent_st&);
  cudaError_t wait_for(const CUevent_st&);
  std::shared_ptr<stand_in::Moment> now();  // whether captured or not

  cudaError_t begin_capture(cudaStreamCaptureMode);
  cudaError_t end_capture(CUgraph_st** graph);
  cudaStreamCaptureStatus capture_status(CUgraph_st** graph) const;
  cudaError_t replay(std::shared_ptr<const CUgraph_st>);

 private:
  void push(std::function<void()> item, bool takes_no_time);
  void serve();
  void execute(const stand_in::Work&);
  void execute(const CUgraph_st&);
  void dawdle();

  const int card_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> items_;
  bool busy_ = false, ending_ = false;

  // of the thread that executes
  double clock_ = 0;
  std::vector<uint64_t> last_key_;
  std::minstd_rand random_;

  std::shared_ptr<stand_in::Capture> capture_;
  std::vector<size_t> tails_;  // nodes that the next one comes after
  std::thread thread_;         // last: it uses all of the above
};
