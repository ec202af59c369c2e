#include "backend/cuda/backend.hpp"

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

#include "backend/cuda/host_order.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/kernels/layers.hpp"
#include "backend/cuda/parameters.hpp"
#include "backend/cuda/stages.hpp"
#include "backend/cuda/versions.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int kFirstWithBfloat16 = 80;

Precision precision_of(const DeviceOptions& options, const Device* device) {
  const bool has_bfloat16 = !device || device->card().compute_capability >= kFirstWithBfloat16;
  if (!options.precision) return has_bfloat16 ? Precision::bf16 : Precision::float32;
  if (*options.precision != Precision::float32 && !has_bfloat16)
    throw Error(kInvalidArgument, "Expected precision 'float32' on " + device->card().name + " (sm_" +
                                      std::to_string(device->card().compute_capability) +
                                      "): bf16 and tf32 need sm_80 or later");
  return *options.precision;
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<Device> device, const DeviceOptions& options)
      : device_(std::move(device)),
        parameters_(precision_of(options, device_.get())),
        complete_(device_.get()),
        setting_{precision_of(options, device_.get()), options.deterministic} {
    setting_.parameters = &parameters_;
    setting_.complete = &complete_;
    if (!device_) return;
    convolutions_ = make_convolution_plans(*device_, options.ending);
    products_ = make_product_plans(*device_);
    setting_.device = device_.get();
    setting_.convolutions = convolutions_.get();
    setting_.products = products_.get();
    seen_ = device_->allocate(sizeof(Seen));
  }

  std::string name() const override { return device_ ? "cuda:" + std::to_string(device_->card().index) : "cuda"; }
  std::string library() const override { return versions(); }
  std::string instruction_set() const override {
    return device_ ? "sm_" + std::to_string(device_->card().compute_capability) : "none";
  }
  std::string card_name() const override { return device_ ? device_->card().name : ""; }
  Precision precision() const override { return setting_.precision; }
  int threads() const override { return 1; }
  bool checks_images() const override { return true; }
  // In deterministic mode the bits of a batch must not depend on which batches came before it.
  bool prefers_known_shapes() const override { return !setting_.deterministic; }
  int64_t available_bytes() const override { return device().available_bytes(); }
  std::unique_ptr<Memory> allocate(int64_t bytes) override { return device().allocate(bytes); }

  void upload(const void* host, void* to, int64_t bytes) override {
    const auto* const number = static_cast<const float*>(to);
    const bool velocity = velocity_ && number >= velocity_ && number < velocity_ + parameters_.count();
    if (parameters_.written(to) || velocity) device().clear(seen_->data(), sizeof(Seen));
    device().upload(host, to, bytes);
  }
  void download(const void* from, void* host, int64_t bytes) override { device().download(from, host, bytes); }
  void clear(void* data, int64_t bytes) override { device().clear(data, bytes); }
  std::unique_ptr<Memory> allocate_host(int64_t bytes) override { return device().allocate_host(bytes); }
  void send(const void* host, void* to, int64_t bytes) override { device().send(host, to, bytes); }
  void fetch(const void* from, void* host, int64_t bytes) override { device().fetch(from, host, bytes); }
  uint64_t mark() override { return device().mark(); }
  bool reached(uint64_t mark) override { return device().reached(mark); }
  void wait(uint64_t mark, const std::function<void()>& meanwhile) override { device().wait(mark, meanwhile); }

  // cuDNN's kernels index a tensor in 32 bits: above that they are refused, or many times slower.
  int64_t most_images(const Shape& shape) const override {
    return std::numeric_limits<int32_t>::max() / stored_elements({1, shape.c, shape.h, shape.w});
  }

  int64_t stored_bytes(const Shape& shape, Storage storage) const override {
    return stored_elements(shape) * bytes_of(element_of(setting_.precision, storage));
  }

  void read(const Tensor& tensor, float* nchw) override { unpack(download(tensor).data(), tensor, nchw); }
  void unpack(const void* stored, const Tensor& as, float* nchw) override {
    cuda::unpack(stored, element(as), as.shape, nchw);
  }

  void write(const float* nchw, const Tensor& tensor) override {
    const auto stored = pack(nchw, tensor.shape, element(tensor));
    device().upload(stored.data(), tensor.data, static_cast<int64_t>(stored.size()));
  }

  void inject(const float* nchw, const Tensor& masked_by, const Tensor& grad) override {
    std::vector<float> sum(grad.shape.count()), values;
    read(grad, sum.data());
    if (masked_by) read(masked_by, (values = std::vector<float>(sum.size())).data());
    for (size_t i = 0; i < sum.size(); ++i)
      if (values.empty() || values[i] > 0) sum[i] += nchw[i];
    write(sum.data(), grad);
  }

  void mask(const Tensor& grad, const Tensor& by) override {
    cuda::mask(device().stream(), element(grad), grad.data, by.data, 1, grad.data, stored_elements(grad.shape));
  }
  void rectify(const Tensor& tensor) override {
    cuda::rectify(device().stream(), element(tensor), tensor.data, tensor.data, stored_elements(tensor.shape));
  }

  bool finite(const Tensor& tensor) override {
    return finite(element(tensor), tensor.data, stored_elements(tensor.shape));
  }
  bool finite(const float* values, int64_t count) override { return finite(Element::float32, values, count); }

  int64_t parameter_bytes(int64_t count) const override { return parameters_.bytes(count); }
  std::unique_ptr<Memory> allocate_parameters(int64_t count) override { return parameters_.allocate(device(), count); }
  int64_t stored_count(const Parameter& parameter) const override { return cuda::stored_count(parameter); }
  void store(const Parameter& parameter, const float* logical, float* stored) override {
    std::vector<float> values(stored_count(parameter));
    cuda::store(parameter, logical, values.data());
    upload(values.data(), stored, std::ssize(values) * int64_t{sizeof(float)});
  }
  void load(const Parameter& parameter, const float* stored, float* logical) override {
    std::vector<float> values(stored_count(parameter));
    download(stored, values.data(), std::ssize(values) * int64_t{sizeof(float)});
    cuda::load(parameter, values.data(), logical);
  }

  std::unique_ptr<Stage> prepare(const Layer& layer, const Shape& input, const Context& context) override {
    return std::visit([&](const auto& kind) { return make_stage(kind, input, context, setting_); }, layer);
  }

  void update(const std::vector<Segment>& segments, const Arenas& arenas, const Feed& feed) override {
    velocity_ = arenas.velocity;
    const Update update{arenas, parameters_.copies(), number_of(segments), static_cast<Seen*>(seen_->data()), feed};
    const auto [complete, others] = complete_.parts(segments, arenas.gradients);
    check(device().stream(), others, update);
    if (!complete.empty()) device().beside([&](Stream side) { check(side, complete, update); });
    descend(device().stream(), segments, update);
  }

  void run(std::unique_ptr<Recording>& recording, const std::function<void()>& calls) override {
    device().run(recording, [&] { complete_.in_run(calls); });
  }
  double milliseconds(const std::function<void()>& calls) override { return device().milliseconds(calls); }

 private:
  Device& device() const {
    VGGNET_ASSERT(device_);  // a planner computes nothing
    return *device_;
  }

  Element element(const Tensor& tensor) const { return element_of(setting_.precision, tensor.storage); }

  std::vector<uint8_t> download(const Tensor& tensor) {
    std::vector<uint8_t> stored(stored_bytes(tensor.shape, tensor.storage));
    device().download(tensor.data, stored.data(), static_cast<int64_t>(stored.size()));
    return stored;
  }

  // Of this list of segments, from 1; rates and decay do not count.
  int64_t number_of(const std::vector<Segment>& segments) {
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (const Segment& segment : segments) ranges.emplace_back(segment.offset, segment.count);
    const auto found = std::ranges::find(updated_, ranges);
    const int64_t number = found - updated_.begin() + 1;
    if (found == updated_.end()) updated_.push_back(std::move(ranges));
    return number;
  }

  bool finite(Element element, const void* values, int64_t count) {
    if (!flag_) flag_ = device().allocate(sizeof(int32_t));
    auto* const flag = static_cast<int32_t*>(flag_->data());
    device().clear(flag, sizeof(int32_t));
    find_not_finite(device().stream(), element, values, count, flag);
    int32_t found = 0;
    device().download(flag, &found, sizeof found);
    return found == 0;
  }

  const std::unique_ptr<Device> device_;
  ParameterBlock parameters_;
  CompleteGradients complete_;
  Setting setting_;
  std::unique_ptr<ConvolutionPlans> convolutions_;
  std::unique_ptr<ProductPlans> products_;
  std::unique_ptr<Memory> flag_, seen_;
  const float* velocity_ = nullptr;  // that the last update has written
  std::vector<std::vector<std::pair<int64_t, int64_t>>> updated_;  // offsets and counts
};

}  // namespace

std::unique_ptr<Backend> make_backend(std::unique_ptr<Device> device, const DeviceOptions& options) {
  return std::make_unique<CudaBackend>(std::move(device), options);
}

std::unique_ptr<Backend> make_planner(const DeviceOptions& options) {
  return std::make_unique<CudaBackend>(nullptr, options);
}

}  // namespace vggnet::cuda
