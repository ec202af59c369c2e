// A stand-in for libcudnn.so.9, as far as its frontend and the product call it: graphs with one convolution, plans that
// compute plain sums in float64 on the stream of the stand-in's runtime. It says nothing of cuDNN.
#include <algorithm>
#include <cstdio>

#include "cudnn/engine.hpp"
#include "runtime/memory.hpp"
#include "runtime/state.hpp"
#include "stream.hpp"

using namespace stand_in;

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

using vggnet::cuda::ConvolutionOperands;
using vggnet::cuda::Direction;
using vggnet::cuda::bytes_of;
using vggnet::cuda::element_of;

constexpr double kFlopsOfMillisecond = 5e11;

thread_local std::string the_last_error;

struct Descriptor {
  std::shared_ptr<Content> content;
};
std::shared_ptr<Content>& content_of(cudnnBackendDescriptor_t descriptor) { return static_cast<Descriptor*>(descriptor)->content; }

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_CHAR: return 1;
    case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE: return 8;
    case CUDNN_TYPE_FRACTION: return 16;
    default: return 4;
  }
}

template <class Call>
cudnnStatus_t guarded(const char* name, Call call) {
  try {
    if (const cudaError_t error = enter(name); error != cudaSuccess)
      throw Refusal(CUDNN_STATUS_EXECUTION_FAILED, std::string(name) + ": the runtime gives error " + std::to_string(error));
    call();
    return CUDNN_STATUS_SUCCESS;
  } catch (const Refusal& refusal) {
    the_last_error = refusal.what();
    return refusal.status;
  }
}

std::shared_ptr<Content> finished(cudnnBackendDescriptorType_t type) {
  auto content = std::make_shared<Content>();
  content->type = type;
  content->finalized = true;
  return content;
}

std::shared_ptr<Content> configuration(const Graph& graph, const Engine& engine) {
  static std::atomic<uint64_t> plans = 0;
  const auto described = finished(CUDNN_BACKEND_ENGINE_DESCRIPTOR), config = finished(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  described->set<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, {engine.id});
  described->set(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, engine.notes());
  described->set<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION});
  Contents knobs;
  for (const auto& [type, value] : engine.knobs) {
    knobs.push_back(finished(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
    knobs.back()->set<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, {type});
    knobs.back()->set<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, {value});
  }
  config->set(CUDNN_ATTR_ENGINECFG_ENGINE, Contents{described});
  config->set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
  config->set<int64_t>(CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, {engine.workspace_bytes});
  config->set<int32_t>(CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED, {0});
  config->plan = std::make_shared<Plan>();
  config->plan->graph = graph;
  config->plan->engine = engine;
  config->plan->number = ++plans;
  return config;
}

// "id of the engine, graph"
std::shared_ptr<Content> configuration_in(const std::vector<char>& json) {
  const std::string text(json.begin(), json.end());
  const Graph graph = graph_in(text.substr(std::min(text.find(' '), text.size())));
  for (auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (const Engine& engine : engines_of(graph, mode))
      if (std::to_string(engine.id) == text.substr(0, text.find(' '))) return configuration(graph, engine);
  throw Refusal(CUDNN_STATUS_BAD_PARAM, "a plan of an engine that the stand-in does not have");
}

void finalize(Content& content) {
  switch (content.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      if (content.all<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL).empty()) content.set<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL, {false});
      break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      content.graph = std::make_shared<const Graph>(graph_of(content.descriptors(CUDNN_ATTR_OPERATIONGRAPH_OPS)));
      content.set<int64_t>(CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, {16});
      break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: {
      const Graph& graph = *content.descriptor(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).graph;
      Contents results;
      for (const Engine& engine : engines_of(graph, content.one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE)))
        results.push_back(configuration(graph, engine));
      content.set(CUDNN_ATTR_ENGINEHEUR_RESULTS, results);
      break;
    }
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
      if (const auto json = content.all<char>(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION); !json.empty())
        content.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, Contents{configuration_in(json)});
      content.plan = content.descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).plan;
      const Engine& engine = content.plan->engine;
      if (engine.flaw == Flaw::cannot_be_built) throw Refusal(CUDNN_STATUS_NOT_SUPPORTED, "this engine cannot be built");
      const std::string text = std::to_string(engine.id) + " " + text_of(content.plan->graph);
      content.set<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, {engine.workspace_bytes});
      content.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, std::vector<char>(text.begin(), text.end()));
      break;
    }
    default: break;
  }
  content.finalized = true;
}

void execute(cudaStream_t stream, const std::shared_ptr<Plan>& plan, const Content& pack) {
  const auto uids = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  void* const workspace = pack.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  std::vector<void*> of(kRoles);
  for (const auto& [role, uid] : plan->graph.uids) {
    const auto found = std::ranges::find(uids, uid);
    if (found == uids.end()) throw Refusal(CUDNN_STATUS_BAD_PARAM, "no tensor with the id " + std::to_string(uid));
    of[role] = pointers[found - uids.begin()];
  }
  const auto& g = plan->graph.shape;
  const int64_t element = bytes_of(element_of(g.precision)), in = g.n * g.h * g.w * g.c * element,
                out = g.n * g.out_h() * g.out_w() * g.k * element, filter = g.k * g.kernel_h * g.kernel_w * g.c;
  const int64_t result = g.direction == Direction::forward ? out : g.direction == Direction::input_gradient ? in : filter * 4;
  std::vector<Operand> operands{{"the result", of[kResult], result, true}};
  const auto operand = [&](Role role, const char* name, int64_t bytes, bool written = false) {
    if (plan->graph.uids.contains(role)) operands.push_back({name, of[role], bytes, written});
  };
  operand(kX, "x", in), operand(kDy, "dy", out), operand(kMask, "the mask", in), operand(kWeights, "the weights", filter * element);
  operand(kBias, "the bias", g.k * element), operand(kSums, "the sums", g.c * 4, true);
  if (plan->engine.workspace_bytes > 0) operands.push_back({"the workspace", workspace, plan->engine.workspace_bytes, true});
  if (const std::string fault = fault_of(operands); !fault.empty()) {
    std::fprintf(stderr, "stand-in card: %s: %s\n", g.text().c_str(), fault.c_str());
    throw Refusal(CUDNN_STATUS_BAD_PARAM, fault);
  }
  ConvolutionOperands all{of[kX], of[kWeights], of[kDy], of[kMask], of[kBias], of[kResult], of[kResult],
                          static_cast<float*>(of[kResult]), static_cast<float*>(of[kSums])};
  const int64_t spoilt = std::min<int64_t>(plan->engine.workspace_bytes, 1 << 16);
  const double flops = 2.0 * g.n * g.out_h() * g.out_w() * filter;
  Work work{[=] {
              if (spoilt > 0) std::memset(workspace, 0xff, spoilt);
              compute(*plan, all);
            },
            0.004 * plan->engine.slowness + flops / kFlopsOfMillisecond * plan->engine.slowness};
  if (!g.sums_gradient && plan->engine.flaw != Flaw::nondeterministic) {
    work.key = {plan->number};
    for (void* pointer : of) work.key.push_back(reinterpret_cast<uint64_t>(pointer));
  }
  if (const cudaError_t error = launch(stream, "cudnnLaunch", std::move(work)); error != cudaSuccess)
    throw Refusal(CUDNN_STATUS_EXECUTION_FAILED, "the launch gives error " + std::to_string(error));
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return CUDNN_VERSION; }
size_t cudnnGetCudartVersion() { return 13000; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_STATUS_INTERNAL_ERROR";
  }
}

void cudnnGetLastErrorString(char* text, size_t most) { std::snprintf(text, most, "%s", the_last_error.c_str()); }

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return guarded("cudnnCreate", [&] { *handle = new cudnnContext; });
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  return guarded("cudnnSetStream", [&] { handle->stream = stream; });
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* descriptor) {
  return guarded("cudnnBackendCreateDescriptor", [&] {
    auto content = std::make_shared<Content>();
    content->type = type;
    *descriptor = new Descriptor{std::move(content)};
  });
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Descriptor*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  return guarded("cudnnBackendFinalize", [&] { finalize(*content_of(descriptor)); });
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  return guarded("cudnnBackendSetAttribute", [&] {
    Content& content = *content_of(descriptor);
    if (content.finalized) throw Refusal(CUDNN_STATUS_BAD_PARAM, "the descriptor is final");
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      Contents contents;
      for (int64_t i = 0; i < count; ++i)
        contents.push_back(content_of(static_cast<const cudnnBackendDescriptor_t*>(values)[i]));
      content.set(name, std::move(contents));
      return;
    }
    const char* bytes = static_cast<const char*>(values);
    content.set(name, std::vector<char>(bytes, bytes + count * size_of(type)));
    content.attributes[name].count = count;
  });
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t most, int64_t* count, void* values) {
  return guarded("cudnnBackendGetAttribute", [&] {
    const Content& content = *content_of(descriptor);
    const auto found = content.attributes.find(name);
    if (found == content.attributes.end()) throw Refusal(CUDNN_STATUS_NOT_SUPPORTED, "no attribute " + std::to_string(name));
    const Attribute& attribute = found->second;
    const int64_t given = values ? std::min(most, attribute.count) : attribute.count;
    if (count) *count = given;
    if (!values) return;
    if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      if (given > 0) std::memcpy(values, attribute.bytes.data(), given * size_of(type));
      return;
    }
    for (int64_t i = 0; i < given; ++i) content_of(static_cast<cudnnBackendDescriptor_t*>(values)[i]) = attribute.descriptors[i];
  });
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  return guarded("cudnnBackendExecute", [&] { execute(handle->stream, content_of(plan)->plan, *content_of(pack)); });
}

}  // extern "C"
