// A backend for tests, in the place of the CPU's: no OpenMP, no library, and a queue of its own like that of a GPU. Results
// are those of the other backends up to rounding.
#include "backend/cpu/backend.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "backend/cpu_tuning.hpp"
#include "device_queue.hpp"
#include "stages.hpp"

namespace vggnet {
namespace serial {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 30;

class Block : public Memory {
 public:
  explicit Block(int64_t bytes) {
    if (bytes > kMostBytes) throw Error(kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
    bytes_ = bytes;
    data_ = std::aligned_alloc(4096, round_up(std::max<int64_t>(bytes, 1), 4096));
    if (!data_) throw Error(kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
    std::memset(data_, 0, bytes);
  }
  ~Block() override { std::free(data_); }
};

// Freed when the device has done what uses it.
class DeviceBlock final : public Block {
 public:
  DeviceBlock(DeviceQueue& queue, int64_t bytes) : Block(bytes), queue_(queue) {}
  ~DeviceBlock() override { queue_.wait(); }

 private:
  DeviceQueue& queue_;
};

float next_velocity(const Segment& segment, const Controls& controls, float weight, float velocity, float gradient) {
  return controls.momentum * velocity -
         controls.rate * segment.rate * (gradient + controls.decay * segment.decay * weight);
}

void descend(const std::vector<Segment>& segments, const Arenas& arenas, const Feed& feed) {
  const Controls& controls = *feed.controls;
  const auto each = [&](const auto& visit) {
    for (const Segment& segment : segments)
      for (int64_t i = segment.offset; i < segment.offset + segment.count; ++i)
        visit(arenas.parameters[i], arenas.velocity[i], arenas.gradients[i],
              next_velocity(segment, controls, arenas.parameters[i], arenas.velocity[i], arenas.gradients[i]));
  };
  bool finite = !feed.results->not_finite && !feed.results->images_not_finite && std::isfinite(feed.results->loss);
  each([&](float weight, float, float gradient, float next) { finite = finite && std::isfinite(gradient) && std::isfinite(weight + next); });
  feed.results->not_finite = !finite;
  if (!finite) return;
  each([](float& weight, float& velocity, float, float next) { weight += velocity = next; });
}

class QueuedStage final : public Stage {
 public:
  QueuedStage(DeviceQueue& queue, std::shared_ptr<const Loops> loops) : queue_(queue), loops_(std::move(loops)) {
    requirements_ = loops_->requirements();
  }

  void bind(const Binding& binding) override { binding_ = binding; }
  void forward() override {
    queue_.add([loops = loops_, binding = binding_] { loops->forward(binding); });
  }
  void backward(Gradients mode) override {
    queue_.add([loops = loops_, binding = binding_, mode] { loops->backward(binding, mode); });
  }

 private:
  DeviceQueue& queue_;
  const std::shared_ptr<const Loops> loops_;
  Binding binding_;
};

class SerialBackend final : public Backend {
 public:
  std::string name() const override { return "cpu"; }
  std::string library() const override { return "none"; }
  std::string instruction_set() const override { return "serial"; }
  std::string card_name() const override { return ""; }
  Precision precision() const override { return Precision::float32; }
  int threads() const override { return 1; }
  bool checks_images() const override { return true; }
  bool prefers_known_shapes() const override { return true; }
  int64_t available_bytes() const override { return kMostBytes; }
  std::unique_ptr<Memory> allocate(int64_t bytes) override { return std::make_unique<DeviceBlock>(queue_, bytes); }
  std::unique_ptr<Memory> allocate_host(int64_t bytes) override { return std::make_unique<Block>(bytes); }

  void upload(const void* host, void* device, int64_t bytes) override {
    const auto* from = static_cast<const char*>(host);
    queue_.add([device, copy = std::vector<char>(from, from + bytes)] { std::memcpy(device, copy.data(), copy.size()); });
  }
  void download(const void* device, void* host, int64_t bytes) override {
    fetch(device, host, bytes);
    queue_.wait();
  }
  void clear(void* device, int64_t bytes) override {
    queue_.add([=] { std::memset(device, 0, bytes); });
  }
  void send(const void* host, void* device, int64_t bytes) override {
    queue_.add([=] { std::memcpy(device, host, bytes); });
  }
  void fetch(const void* device, void* host, int64_t bytes) override { send(device, host, bytes); }
  uint64_t mark() override { return queue_.last(); }
  bool reached(uint64_t mark) override { return queue_.reached(mark); }
  void wait(uint64_t mark, const std::function<void()>& meanwhile) override {
    while (!queue_.reached(mark)) meanwhile();
  }

  int64_t most_images(const Shape& shape) const override { return std::numeric_limits<int32_t>::max() / shape.per_image(); }
  int64_t stored_bytes(const Shape& shape, Storage) const override { return shape.count() * int64_t{sizeof(float)}; }
  void read(const Tensor& tensor, float* nchw) override { download(tensor.data, nchw, stored_bytes(tensor.shape, tensor.storage)); }
  void unpack(const void* stored, const Tensor& as, float* nchw) override {
    std::memcpy(nchw, stored, stored_bytes(as.shape, as.storage));
  }
  void write(const float* nchw, const Tensor& tensor) override { upload(nchw, tensor.data, stored_bytes(tensor.shape, tensor.storage)); }
  void inject(const float* nchw, const Tensor& masked_by, const Tensor& grad) override {
    queue_.add([masked_by, grad, given = std::vector<float>(nchw, nchw + grad.shape.count())]() mutable {
      if (masked_by) serial::mask(masked_by.floats(), 1, grad.shape.count(), given.data());
      for (int64_t i = 0; i < grad.shape.count(); ++i) grad.floats()[i] += given[i];
    });
  }
  void mask(const Tensor& grad, const Tensor& by) override {
    queue_.add([=] { serial::mask(by.floats(), 1, grad.shape.count(), grad.floats()); });
  }
  void rectify(const Tensor& tensor) override {
    queue_.add([=] {
      for (int64_t i = 0; i < tensor.shape.count(); ++i) tensor.floats()[i] = std::max(tensor.floats()[i], 0.0f);
    });
  }
  bool finite(const Tensor& tensor) override { return finite(tensor.floats(), tensor.shape.count()); }
  bool finite(const float* values, int64_t count) override {
    queue_.wait();
    return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
  }

  int64_t parameter_bytes(int64_t count) const override { return count * int64_t{sizeof(float)}; }
  std::unique_ptr<Memory> allocate_parameters(int64_t count) override { return allocate(parameter_bytes(count)); }
  int64_t stored_count(const Parameter& parameter) const override { return parameter.count(); }
  void store(const Parameter& parameter, const float* logical, float* stored) override {
    upload(logical, stored, parameter_bytes(parameter.count()));
  }
  void load(const Parameter& parameter, const float* stored, float* logical) override {
    download(stored, logical, parameter_bytes(parameter.count()));
  }

  std::unique_ptr<Stage> prepare(const Layer& layer, const Shape& input, const Context& context) override {
    return std::make_unique<QueuedStage>(queue_, make_loops(layer, input, context));
  }
  void update(const std::vector<Segment>& segments, const Arenas& arenas, const Feed& feed) override {
    queue_.add([=] { descend(segments, arenas, feed); });
  }
  void run(std::unique_ptr<Recording>&, const std::function<void()>& calls) override { calls(); }
  double milliseconds(const std::function<void()>& calls) override {
    queue_.wait();
    const auto start = std::chrono::steady_clock::now();
    calls();
    queue_.wait();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  DeviceQueue queue_;
};

}  // namespace
}  // namespace serial

namespace cpu {

std::unique_ptr<Backend> open(int) { return std::make_unique<serial::SerialBackend>(); }

// It has no caches to suit.
Tuning tuning() { return {}; }
void set_tuning(const Tuning&) {}

}  // namespace cpu
}  // namespace vggnet
