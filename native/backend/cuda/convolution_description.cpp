#include "backend/cuda/convolution_description.hpp"

#include <cudnn_frontend.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "backend/cuda/check.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;
using TensorOf = std::shared_ptr<Tensor_attributes>;

enum Uid : int64_t { kX = 1, kWeights, kBias, kDy, kMask, kY, kDx, kDw, kSums };

void check(fe::error_t status, const ConvolutionGraph& graph, const char* call) {
  if (status.is_good()) return;
  cudaGetLastError();  // or the error is attributed to our next kernel
  std::string message = status.get_message();
  std::replace(message.begin(), message.end(), '\n', ' ');
  throw Error(kInternal, std::string("cuDNN: ") + call + " of " + graph.text() + ": " + message);
}

// Of a call that may touch the card; no handle: there is none.
void check(fe::error_t status, const ConvolutionGraph& graph, const char* call, cudnnHandle_t handle) {
  cudaStream_t stream = nullptr;
  if (status.is_bad() && handle && cudnnGetStream(handle, &stream) == CUDNN_STATUS_SUCCESS) VGGNET_THROW_IF_LOST(stream, call);
  check(status, graph, call);
}

void check(cudnnStatus_t status, const char* call, Stream stream) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  VGGNET_THROW_IF_LOST(stream, call);
  throw Error(kInternal, std::string("cuDNN: ") + call + ": " + cudnnGetErrorString(status));
}

// Opens up what the frontend keeps of each plan.
struct PlannedGraph : fe::graph::Graph {
  fe::graph::Execution_plan_list& list() { return plans; }
};

// What plans are built for: the card of a handle, or a described card.
struct Target {
  cudnnHandle_t handle = nullptr;
  std::shared_ptr<fe::DeviceProperties> description;
  int compute_capability = 0;
};

class Description {
 public:
  explicit Description(const ConvolutionGraph& graph) : spec_(graph), made_(std::make_shared<PlannedGraph>()) {
    const auto io = graph.precision == Precision::bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT;
    made_->set_io_data_type(io)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    if (graph.direction == Direction::forward) describe_forward(io);
    else if (graph.direction == Direction::input_gradient) describe_input_gradient(io);
    else describe_weight_gradient();
  }

  const std::shared_ptr<PlannedGraph>& made() const { return made_; }

 private:
  // Logically n c h w, stored n h w c; weights k c r s, stored k r s c.
  TensorOf tensor(Uid uid, int64_t n, int64_t c, int64_t h, int64_t w) {
    return made_->tensor(Tensor_attributes().set_uid(uid).set_dim({n, c, h, w}).set_stride({h * w * c, 1, w * c, c}));
  }
  TensorOf x() { return tensor(kX, spec_.n, spec_.c, spec_.h, spec_.w); }
  TensorOf dy() { return tensor(kDy, spec_.n, spec_.k, spec_.out_h(), spec_.out_w()); }
  TensorOf weights() { return tensor(kWeights, spec_.k, spec_.c, spec_.kernel_h, spec_.kernel_w); }

  template <class Attributes>
  Attributes convolution() const {
    return Attributes().set_padding({spec_.padding, spec_.padding}).set_stride({1, 1}).set_dilation({1, 1});
  }

  static fe::graph::Pointwise_attributes pointwise(fe::PointwiseMode_t mode) {
    return fe::graph::Pointwise_attributes().set_mode(mode);
  }

  void describe_forward(fe::DataType_t io) {
    TensorOf y = made_->conv_fprop(x(), weights(), convolution<fe::graph::Conv_fprop_attributes>());
    if (spec_.bias) y = made_->pointwise(y, tensor(kBias, 1, spec_.k, 1, 1), pointwise(fe::PointwiseMode_t::ADD));
    if (spec_.relu) y = made_->pointwise(y, pointwise(fe::PointwiseMode_t::RELU_FWD));
    y->set_output(true).set_data_type(io).set_uid(kY);
  }

  void describe_input_gradient(fe::DataType_t io) {
    const auto [n, c, h, w] = std::tuple(spec_.n, spec_.c, spec_.h, spec_.w);
    TensorOf dx = made_->conv_dgrad(dy(), weights(), convolution<fe::graph::Conv_dgrad_attributes>());
    dx->set_dim({n, c, h, w}).set_stride({h * w * c, 1, w * c, c});  // a gradient's shape is not deduced
    if (spec_.mask) dx = made_->pointwise(dx, tensor(kMask, n, c, h, w), pointwise(fe::PointwiseMode_t::RELU_BWD));
    if (spec_.sums_gradient) {
      const auto mode = fe::graph::Reduction_attributes()
                            .set_mode(fe::ReductionMode_t::ADD)
                            .set_is_deterministic(spec_.deterministic);
      TensorOf sums = made_->reduction(dx, mode);
      sums->set_output(true).set_data_type(fe::DataType_t::FLOAT).set_uid(kSums);
      sums->set_dim({1, c, 1, 1}).set_stride({c, 1, c, c});
    }
    dx->set_output(true).set_data_type(io).set_uid(kDx);
  }

  // Always float32: for bfloat16 cuDNN needs an operation after the convolution that converts.
  void describe_weight_gradient() {
    const auto [k, c, r, s] = std::tuple(spec_.k, spec_.c, spec_.kernel_h, spec_.kernel_w);
    TensorOf dw = made_->conv_wgrad(dy(), x(), convolution<fe::graph::Conv_wgrad_attributes>());
    dw->set_dim({k, c, r, s}).set_stride({r * s * c, 1, s * c, c});
    if (spec_.precision == Precision::bf16) dw = made_->pointwise(dw, pointwise(fe::PointwiseMode_t::IDENTITY));
    dw->set_output(true).set_data_type(fe::DataType_t::FLOAT).set_uid(kDw);
    dw->set_dim({k, c, r, s}).set_stride({r * s * c, 1, s * c, c});
  }

  const ConvolutionGraph spec_;
  const std::shared_ptr<PlannedGraph> made_;
};

// Numerical notes of engines that may not be used.
std::vector<fe::NumericalNote_t> refused_notes(const ConvolutionGraph& graph) {
  using Note = fe::NumericalNote_t;
  std::vector<Note> notes = {Note::REDUCED_PRECISION_REDUCTION};
  const auto refuse = [&](std::initializer_list<Note> more) { notes.insert(notes.end(), more); };
  if (graph.precision == Precision::float32) refuse({Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS});
  if (graph.deterministic) refuse({Note::NONDETERMINISTIC});
  if (graph.exact)
    refuse({Note::FFT, Note::WINOGRAD, Note::WINOGRAD_TILE_4x4, Note::WINOGRAD_TILE_6x6, Note::WINOGRAD_TILE_13x13});
  return notes;
}

// Plan `index` of a graph that other plans may share. Its destructor frees the card's memory for its kernels.
class FrontendPlan final : public BuiltPlan {
 public:
  FrontendPlan(const ConvolutionGraph& graph, std::shared_ptr<PlannedGraph> made, cudnnHandle_t handle, int64_t index,
               std::string name)
      : spec_(graph), made_(std::move(made)), handle_(handle), index_(index), name_(std::move(name)) {}
  ~FrontendPlan() override { made_->list().execution_plans[static_cast<size_t>(index_)].reset(); }

  const std::string& name() const override { return name_; }
  int64_t workspace_bytes() const override { return made_->get_workspace_size_plan_at_index(index_); }

  std::vector<uint8_t> serialized() const override {
    std::vector<uint8_t> data;
    made_->list().candidate = index_;  // the one that is serialized
    check(made_->serialize(data, false), spec_, "serialize");
    return data;
  }

  void run(const ConvolutionOperands& operands, void* workspace) override {
    const auto in = [](const void* data) { return const_cast<void*>(data); };
    std::unordered_map<int64_t, void*> pack;
    switch (spec_.direction) {
      case Direction::forward:
        pack = {{kX, in(operands.x)}, {kWeights, in(operands.weights)}, {kY, operands.y}};
        if (spec_.bias) pack[kBias] = in(operands.bias);
        break;
      case Direction::input_gradient:
        pack = {{kDy, in(operands.dy)}, {kWeights, in(operands.weights)}, {kDx, operands.dx}};
        if (spec_.mask) pack[kMask] = in(operands.mask);
        if (spec_.sums_gradient) pack[kSums] = operands.sums;
        break;
      case Direction::weight_gradient:
        pack = {{kX, in(operands.x)}, {kDy, in(operands.dy)}, {kDw, operands.dw}};
        break;
    }
    check(made_->execute_plan_at_index(handle_, pack, workspace, index_), spec_, "execute", handle_);
  }

 private:
  const ConvolutionGraph spec_;
  const std::shared_ptr<PlannedGraph> made_;
  const cudnnHandle_t handle_;
  const int64_t index_;
  const std::string name_;
};

class FrontendProposals final : public Proposals {
 public:
  FrontendProposals(const ConvolutionGraph& graph, Heuristics heuristics, const Target& target)
      : spec_(graph), made_(Description(graph).made()), handle_(target.handle) {
    if (target.description) {
      made_->set_device_properties(target.description);
      made_->set_sm_version(target.compute_capability);
    }
    check(made_->validate(), spec_, "validate");
    check(target.description ? made_->build_operation_graph() : made_->build_operation_graph(handle_), spec_,
          "build_operation_graph", handle_);
    const auto mode = heuristics == Heuristics::first ? fe::HeurMode_t::A : fe::HeurMode_t::FALLBACK;
    check(made_->create_execution_plans({mode}), spec_, "create_execution_plans", handle_);
    made_->deselect_numeric_notes(refused_notes(spec_));
    made_->deselect_workspace_greater_than(cuda::workspace_bytes(spec_));
  }

  int64_t count() const override { return made_->get_execution_plan_count(); }

  std::string name(int64_t index) const override {
    std::string name;
    check(made_->get_plan_name_at_index(index, name), spec_, "get_plan_name_at_index");
    return name;
  }

  std::unique_ptr<BuiltPlan> build(int64_t index) override {
    check(made_->build_plan_at_index(index), spec_, "build_plan_at_index", handle_);
    return std::make_unique<FrontendPlan>(spec_, made_, handle_, index, name(index));
  }

 private:
  const ConvolutionGraph spec_;
  const std::shared_ptr<PlannedGraph> made_;
  const cudnnHandle_t handle_;
};

class FrontendCudnn final : public Cudnn {
 public:
  explicit FrontendCudnn(Stream stream) {
    check(cudnnCreate(&target_.handle), "cudnnCreate", stream);
    check(cudnnSetStream(target_.handle, stream), "cudnnSetStream", stream);
  }
  explicit FrontendCudnn(Target target) : target_(std::move(target)) {}
  ~FrontendCudnn() override {
    if (target_.handle) cudnnDestroy(target_.handle);  // fails when the driver was unloaded first, which is harmless
  }

  std::string version() const override {
    return "cuDNN " + std::to_string(cudnnGetVersion()) + ", frontend " + std::to_string(CUDNN_FRONTEND_VERSION);
  }

  std::unique_ptr<Proposals> propose(const ConvolutionGraph& graph, Heuristics heuristics) override {
    return std::make_unique<FrontendProposals>(graph, heuristics, target_);
  }

  std::unique_ptr<BuiltPlan> restore(const ConvolutionGraph& graph, const std::string& name,
                                     const std::vector<uint8_t>& serialized) override {
    auto made = std::make_shared<PlannedGraph>();
    try {
      if (target_.description) {
        made->set_device_properties(target_.description);
        check(made->deserialize(serialized), graph, "deserialize");
      } else {
        check(made->deserialize(target_.handle, serialized, false, false), graph, "deserialize", target_.handle);
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {  // of the JSON library
      throw Error(kInternal, "cuDNN: deserialize of " + graph.text() + ": " + error.what());
    }
    return std::make_unique<FrontendPlan>(graph, std::move(made), target_.handle, 0, name);
  }

 private:
  Target target_;
};

}  // namespace

std::unique_ptr<Cudnn> open_cudnn(const Device& device) { return std::make_unique<FrontendCudnn>(device.stream()); }

std::unique_ptr<Cudnn> open_cudnn_without_card(const std::string& description, int compute_capability) {
  auto properties = std::make_shared<fe::DeviceProperties>();
  auto status = properties->deserialize(std::vector<uint8_t>(description.begin(), description.end()));
  if (status.is_bad()) throw Error(kInternal, "cuDNN: description of a card: " + status.get_message());
  return std::make_unique<FrontendCudnn>(Target{nullptr, std::move(properties), compute_capability});
}

}  // namespace vggnet::cuda
