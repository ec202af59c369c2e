// The runtime's functions for streams, events and graphs.
#include <cuda_runtime_api.h>

#include "runtime/state.hpp"
#include "stream.hpp"

using namespace stand_in;

struct CUuserObject_st {
  void* data;
  cudaHostFn_t destroy;
  std::atomic<int64_t> count;
};

namespace {

void release(cudaUserObject_t object, int64_t count) {
  if ((object->count -= count) > 0) return;
  object->destroy(object->data);
  delete object;
}

cudaError_t wait_for(const std::shared_ptr<Moment>& moment) {
  if (moment) moment->reached.wait(false);
  return context_error(current_card());
}

cudaError_t create_event(const char* call, cudaEvent_t* event, bool timed) {
  if (const cudaError_t error = enter(call); error != cudaSuccess) return leave(error);
  *event = new CUevent_st{timed, nullptr, nullptr, {}};
  return cudaSuccess;
}

// An event of a capture means nothing outside it.
cudaError_t enter_event(const char* call, const CUevent_st& event) {
  if (const cudaError_t error = enter(call); error != cudaSuccess) return error;
  if (const cudaError_t error = refused_while_capturing(); error != cudaSuccess) return error;
  return event.capture ? cudaErrorCapturedEvent : cudaSuccess;
}

}  // namespace

void stand_in::destroy(const CUgraph_st* graph) {
  for (cudaUserObject_t object : graph->kept) release(object, 1);
  delete graph;
}

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (const cudaError_t error = enter("cudaStreamCreateWithFlags"); error != cudaSuccess) return leave(error);
  *stream = new CUstream_st(current_card());
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return leave(enter("cudaStreamDestroy"));
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaStreamSynchronize"); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = refused_while_capturing(); error != cudaSuccess) return leave(error);
  return leave(wait_for(stream->now()));
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaStreamQuery"); error != cudaSuccess) return leave(error);
  if (const cudaError_t error = refused_while_capturing(); error != cudaSuccess) return leave(error);
  return leave(stream->is_idle() ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (const cudaError_t error = enter("cudaStreamWaitEvent"); error != cudaSuccess) return leave(error);
  return leave(stream->wait_for(*event));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return create_event("cudaEventCreateWithFlags", event, !(flags & cudaEventDisableTiming));
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return create_event("cudaEventCreate", event, true); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return leave(enter("cudaEventDestroy"));
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaEventRecord"); error != cudaSuccess) return leave(error);
  return leave(stream->record(*event));
}

// "Not ready" too is what cudaGetLastError gives next.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (const cudaError_t error = enter_event("cudaEventQuery", *event); error != cudaSuccess) return leave(error);
  return leave(!event->moment || event->moment->reached ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t error = enter_event("cudaEventSynchronize", *event); error != cudaSuccess) return leave(error);
  return leave(wait_for(event->moment));
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (const cudaError_t error = enter("cudaEventElapsedTime"); error != cudaSuccess) return leave(error);
  if (!start->moment || !end->moment || !start->timed || !end->timed) return leave(cudaErrorInvalidResourceHandle);
  if (!start->moment->reached || !end->moment->reached) return leave(cudaErrorNotReady);
  *milliseconds = static_cast<float>(end->moment->clock - start->moment->clock);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (const cudaError_t error = enter("cudaStreamBeginCapture"); error != cudaSuccess) return leave(error);
  return leave(stream->begin_capture(mode));
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const cudaError_t asked = enter("cudaStreamEndCapture"), status = stream->end_capture(graph);
  return leave(asked == cudaSuccess ? status : asked);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream ? stream->capture_status(nullptr) : cudaStreamCaptureStatusNone;
  return leave(enter("cudaStreamIsCapturing"));
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t**, const cudaGraphEdgeData**, size_t*) {
  *status = stream->capture_status(graph);
  if (id) *id = reinterpret_cast<uintptr_t>(stream);
  return leave(enter("cudaStreamGetCaptureInfo"));
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  *mode = exchange_capture_mode(*mode);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (const cudaError_t error = enter("cudaGraphInstantiate"); error != cudaSuccess) return leave(error);
  for (cudaUserObject_t object : graph->kept) ++object->count;
  *executable = new CUgraphExec_st{std::shared_ptr<const CUgraph_st>(new CUgraph_st(*graph), destroy)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaGraphLaunch"); error != cudaSuccess) return leave(error);
  return leave(stream->replay(executable->graph));
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  destroy(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaUserObjectCreate(cudaUserObject_t* object, void* data, cudaHostFn_t destroy, unsigned count, unsigned) {
  *object = new CUuserObject_st{data, destroy, count};
  return leave(enter("cudaUserObjectCreate"));
}
cudaError_t cudaUserObjectRelease(cudaUserObject_t object, unsigned count) {
  release(object, count);
  return cudaSuccess;
}
cudaError_t cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count, unsigned) {
  object->count += count;
  graph->kept.insert(graph->kept.end(), count, object);
  return cudaSuccess;
}

}  // extern "C"
