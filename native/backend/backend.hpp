#pragma once
// The contract between a network and a device. The network owns order and memory; the device owns preparation and
// execution. Nothing above this file knows which device computes.
//
// Gradients. The gradient that a stage hands down is with respect to the *pre-activation* of the stage below: where
// the input came out of a ReLU the stage masks by its own input (input > 0, times Context::mask_scale where a dropout
// is joined to that ReLU). A stage that reads a gradient of a rectified output therefore finds it masked already.
// max(relu(x)) = relu(max(x)): what is pooled from a rectified tensor counts as rectified, and the pool does not mask.
//
// Padding. What a device stores beyond the logical shape is zero and stays zero: in activations, gradients, parameters.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "layer/layer.hpp"
#include "tensor/error.hpp"
#include "tensor/tensor.hpp"

namespace vggnet {

// float32: products of float32. tf32: products of float32 rounded to 10 bits of mantissa, summed in float32. bf16:
// activations and their gradients are stored as bfloat16, products are summed in float32.
enum class Precision { float32, tf32, bf16 };

// What changes between runs. It lives in the device's memory and is written before each run, so that a captured
// sequence of calls stays valid.
struct Controls {
  uint64_t seed = 0, training_step = 0;
  int64_t first_image = 0;  // index, in the whole batch, of the first image of this micro-batch
  float loss_scale = 1;     // 1 / images of the whole batch: gradient of the mean loss
  float rate = 0, momentum = 0, decay = 0;
};

// What a run reports; in the device's memory, read late.
struct Results {
  double loss = 0;  // sum over images of -log p(label), times loss_scale
  int64_t correct = 0, correct5 = 0;
  int64_t not_finite = 0;  // set by update, which then changes nothing, as long as it is set
  int64_t images_not_finite = 0;  // set by the input of a device that checks images; update then sets not_finite
};

// Device addresses of what one run reads and writes besides activations. Fixed between two bindings.
struct Feed {
  const void* images = nullptr;      // raw, in the caller's order
  const uint8_t* flip = nullptr;     // n: 1 = mirror this image; always present
  const float* shift = nullptr;      // n c: added to raw pixels; always present
  const int32_t* labels = nullptr;   // n; negative: the image counts in no result and has no gradient
  const Controls* controls = nullptr;
  Results* results = nullptr;
};

// Whether a stage's parameter gradients overwrite the previous ones or are added to them (micro-batches).
enum class Gradients { overwrite, accumulate };

// The settings of a stage when it is prepared; together with layer and input shape this decides everything it does.
struct Context {
  DType images = DType::float32;  // of Feed::images; only Input reads it
  bool training = false;          // keep what backward needs; dropout is active
  bool exact = false;             // no Winograd: direct convolutions
  Storage input_storage = Storage::activation, output_storage = Storage::activation;
  bool mask_input = false;        // the input came out of a ReLU: mask the gradient handed down by input > 0 ...
  float mask_scale = 1;           // ... and multiply it by this (1 / (1 - p) where dropout is joined to that ReLU)
  bool wants_input_gradient = false, wants_parameter_gradients = false;
  bool wants_bias_gradient = false;        // false as well where the stage above has delivered it
  bool may_give_bias_gradient_below = false;  // the stage below has a bias whose gradient is the sum of what is handed down
};

struct Saved {
  std::string name;  // "index", "scale"
  int64_t bytes;
};

// What a prepared stage asks of the planner.
struct Requirements {
  bool input_in_backward = false;  // backward reads the input again
  std::vector<Saved> saved;        // from forward to backward, in this order
  int64_t workspace_bytes = 0;     // scratch within one call
  int64_t prepared_bytes = 0;      // what the stage itself holds as long as it lives
  bool gives_bias_gradient_below = false;
  std::string algorithm;           // for people: "winograd, winograd, direct"
};

// Addresses for one stage, fixed until the next binding. Null where not wanted.
struct Binding {
  Tensor input, output, grad_output, grad_input;
  std::vector<void*> saved;
  void* workspace = nullptr;
  const float *weight = nullptr, *bias = nullptr;
  float *grad_weight = nullptr, *grad_bias = nullptr, *grad_bias_below = nullptr;
  Feed feed;
};

// One layer prepared for fixed shapes on one device.
class Stage {
 public:
  virtual ~Stage() = default;
  const Requirements& requirements() const { return requirements_; }
  virtual void bind(const Binding&) = 0;
  virtual void refresh() {}  // parameters have changed: remake what was derived from them
  virtual void forward() = 0;
  virtual void backward(Gradients) = 0;  // only if prepared for training

 protected:
  Requirements requirements_;
};

// A range of the parameter arena, in stored elements, with multipliers of the run's rate and decay.
struct Segment {
  int64_t offset, count;
  float rate, decay;

  bool operator==(const Segment&) const = default;
};

struct Arenas {
  float *parameters, *velocity;
  const float* gradients;
};

// A block of the device's memory: zero at first, aligned to 4096 bytes, freed with the object.
class Memory {
 public:
  virtual ~Memory() = default;
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 protected:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// What a device keeps of a sequence of calls in order to replay it; reset it when addresses change.
class Recording {
 public:
  virtual ~Recording() = default;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;             // "cpu", "cuda:0"
  virtual std::string library() const = 0;          // "oneDNN 3.1.0"
  virtual std::string instruction_set() const = 0;  // "avx512_core", "sm_90"
  virtual std::string card_name() const = 0;        // "NVIDIA H200"; empty where there is none
  virtual Precision precision() const = 0;          // of activations and products; parameters are float32 always
  virtual int threads() const = 0;                  // of the host
  virtual bool checks_images() const = 0;           // Results::images_not_finite; else the caller looks at them
  // Whether preparing a new shape takes longer than many runs: a smaller batch is then better run padded to a known one.
  virtual bool prefers_known_shapes() const = 0;
  virtual int64_t available_bytes() const = 0;      // what could be allocated now
  virtual std::unique_ptr<Memory> allocate(int64_t bytes) = 0;  // throws OUT_OF_MEMORY
  // Memory of the host that the device's own copies can use (page-locked for a GPU), not zero. Called by any thread;
  // throws OUT_OF_MEMORY.
  virtual std::unique_ptr<Memory> allocate_host(int64_t bytes) = 0;

  // A queue: uploads, runs, updates and downloads take effect in the order in which they are asked for. A device may return
  // before they have.
  virtual void upload(const void* host, void* device, int64_t bytes) = 0;    // the host's memory may change afterwards
  virtual void download(const void* device, void* host, int64_t bytes) = 0;  // waits for all before it
  virtual void clear(void* device, int64_t bytes) = 0;                       // to zero
  // The same from and to memory of allocate_host, which the device uses until a later mark is reached. What is sent may
  // travel while runs go on.
  virtual void send(const void* host, void* device, int64_t bytes) = 0;
  virtual void fetch(const void* device, void* host, int64_t bytes) = 0;
  virtual uint64_t mark() = 0;  // the end of the queue, as a number to ask for; of the last four
  virtual bool reached(uint64_t mark) = 0;
  // Until it is reached. `meanwhile` is called again and again; it may ask for more.
  virtual void wait(uint64_t mark, const std::function<void()>& meanwhile) = 0;

  // Images of this size that one tensor may hold; the shape's n does not count.
  virtual int64_t most_images(const Shape&) const = 0;
  // Activations: bytes as stored, and to and from logical float32 n c h w in host memory.
  virtual int64_t stored_bytes(const Shape&, Storage) const = 0;
  virtual void read(const Tensor&, float* nchw) = 0;
  virtual void unpack(const void* stored, const Tensor& as, float* nchw) = 0;  // of what was fetched of a tensor
  virtual void write(const float* nchw, const Tensor&) = 0;
  // grad += nchw, with nchw masked by value > 0 where `masked_by` holds a rectified tensor (feature gradients).
  virtual void inject(const float* nchw, const Tensor& masked_by, const Tensor& grad) = 0;
  virtual void mask(const Tensor& grad, const Tensor& by) = 0;  // grad = by > 0 ? grad : 0
  virtual void rectify(const Tensor&) = 0;                       // to max(value, 0)
  virtual bool finite(const Tensor&) = 0;
  virtual bool finite(const float* values, int64_t count) = 0;  // of an arena of parameters

  // The block of weights and biases: `count` float32, and after them what the device keeps beside each of them (a copy
  // in another precision, made by update and by a stage's refresh).
  virtual int64_t parameter_bytes(int64_t count) const = 0;
  virtual std::unique_ptr<Memory> allocate_parameters(int64_t count) = 0;  // throws OUT_OF_MEMORY

  // Parameters: elements as stored, and between logical order in host memory and stored order in an arena, as upload and
  // download. Outputs lie one after the other: a parameter of fewer outputs, a multiple of 64 of them, is stored as the
  // first part of the whole.
  virtual int64_t stored_count(const Parameter&) const = 0;
  virtual void store(const Parameter&, const float* logical, float* stored) = 0;
  virtual void load(const Parameter&, const float* stored, float* logical) = 0;

  virtual std::unique_ptr<Stage> prepare(const Layer&, const Shape& input, const Context&) = 0;
  // v = momentum * v - rate * (g + decay * w); w += v. Where the loss, a gradient, or a weight that it would lead to, is
  // not finite nothing changes and Results::not_finite says so; nor does anything where it has said so before.
  virtual void update(const std::vector<Segment>&, const Arenas&, const Feed&) = 0;
  // Runs the calls; a device with graphs records them into `recording` at the first time and replays them after.
  virtual void run(std::unique_ptr<Recording>& recording, const std::function<void()>& calls) = 0;
  virtual double milliseconds(const std::function<void()>& calls) = 0;  // that the device spends on them
};

struct DeviceOptions {
  std::string device;  // "auto", "cpu", "cuda", "cuda:N"
  int threads = 0;     // 0: all that this process may use
  std::optional<Precision> precision = std::nullopt;  // nothing: the device's default
  bool deterministic = false;          // equal runs give equal bits
  const std::atomic<bool>* ending = nullptr;  // while it is true, calls end with DISPOSED at the next stage or plan
};

inline void check_ending(const std::atomic<bool>* ending) {
  if (ending && *ending) throw Error(kDisposed, "the JavaScript thread of this network is ending");
}

struct OpenedBackend {
  std::unique_ptr<Backend> backend;
  std::string reason;  // for 'auto': the card taken, or why none was; empty where the device was named
};

// 'auto' is card 0 where it can be opened, else the cpu. Throws DEVICE_UNAVAILABLE.
OpenedBackend open_backend(const DeviceOptions&);

// A backend that prepares stages and counts their bytes, but computes nothing: it needs the device's libraries and no
// device.
std::unique_ptr<Backend> open_planner(const DeviceOptions&);  // throws DEVICE_UNAVAILABLE

}  // namespace vggnet
