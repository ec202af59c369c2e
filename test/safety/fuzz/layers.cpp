// Bytes as a list of layers and a batch of images, absurd sizes included: what the addon lets through is refused with a code, or
// planned so that no two tensors share memory. Small networks also compute, and give the same numbers however the plan
// divides and joins their stages.
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "backend/cpu/backend.hpp"
#include "network/network.hpp"
#include "target.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr int64_t kLargestExact = (int64_t{1} << 53) - 1;  // of a number of JavaScript
constexpr int kMostLayers = 24;
constexpr int64_t kMostBytes = 1 << 20, kMostChannels = 1 << 12, kMostOperationsRun = 1 << 14;  // of a network that computes

// From 0 to 2^53 - 1: small, near a power of two, or any.
int64_t size_from(fuzz::Bytes& bytes) {
  const uint8_t kind = bytes.byte();
  if (kind < 176) return kind % 16;
  if (kind < 192) return kind;
  if (kind < 240) return std::clamp<int64_t>((int64_t{1} << bytes.byte() % 54) + kind % 3 - 1, 0, kLargestExact);
  return static_cast<int64_t>(bytes.take<uint64_t>() % kLargestExact);
}

float number_from(fuzz::Bytes& bytes) {
  constexpr float kNumbers[] = {0, 1, 2, 0.5f, 0.75f, 1e-4f, -1, 1e-38f, 3e38f, 0.999999f};
  return kNumbers[bytes.byte() % std::size(kNumbers)];
}

int int_from(fuzz::Bytes& bytes) {
  return static_cast<int>(std::min<int64_t>(size_from(bytes), std::numeric_limits<int>::max()));
}

Input input_from(fuzz::Bytes& bytes) {
  const int64_t channels = size_from(bytes);
  const auto count = static_cast<size_t>(std::min<int64_t>(channels, 64));
  return {"input", channels, std::vector<float>(count, 100), std::vector<float>(count, 0.01f)};
}

std::vector<Layer> layers_from(fuzz::Bytes& bytes) {
  std::vector<Layer> layers{input_from(bytes)};
  uint32_t stream = 0;
  while (!bytes.empty() && layers.size() < kMostLayers) {
    const uint8_t kind = bytes.byte();
    const std::string number = std::to_string(kind >= 250 ? 1 : layers.size());  // now and then a name twice
    const std::string name = "layer" + number, relu = kind % 2 ? "relu" + number : "";
    switch (kind / 2 % 8) {
      case 0:
      case 1:
        layers.push_back(Convolution{name, relu, size_from(bytes), kind < 240 ? kind / 16 % 2 * 2 + 1 : int_from(bytes)});
        break;
      case 2:
        layers.push_back(MaxPool{name});
        break;
      case 3:
        layers.push_back(LocalNorm{name, kind < 128 ? 5 : int_from(bytes), number_from(bytes), number_from(bytes), number_from(bytes)});
        break;
      case 4:
      case 5: {
        Linear linear{name, relu, size_from(bytes), size_from(bytes), size_from(bytes), kind % 3 ? 0 : number_from(bytes), 0};
        if (linear.dropout > 0) linear.stream = stream++;
        layers.push_back(linear);
        break;
      }
      case 6:
        layers.push_back(SpatialMean{name});
        break;
      default:
        if (kind > 240) layers.push_back(input_from(bytes));
    }
  }
  return layers;
}

void check_lifetimes(const Execution& execution) {
  const auto& lives = execution.lifetimes();
  for (size_t i = 0; i < lives.size(); ++i) {
    const Lifetime& a = lives[i];
    REQUIRE(a.offset >= 0 && a.offset % kAlignment == 0 && a.bytes > 0 && a.first <= a.last);
    REQUIRE(a.bytes <= execution.arena_bytes() - a.offset);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime& b = lives[j];
      const bool together = a.first <= b.last && b.first <= a.last;
      REQUIRE(!together || a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
    }
  }
}

void check_plan(const Plan& plan) {
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    const PlannedStage& stage = plan.stages[i];
    REQUIRE(stage.input == static_cast<int>(i) - 1);
    REQUIRE(stage.input < 0 || plan.tensors[stage.input].shape == stage.input_shape);
    const auto operations = multiply_adds(stage.layer, stage.input_shape);
    REQUIRE(operations >= 0 && operations <= kMostOperations);
    if (stage.output < 0) continue;
    const Shape shape = output_shape(stage.layer, stage.input_shape);
    REQUIRE(shape == plan.tensors[stage.output].shape);
    REQUIRE(shape.n > 0 && shape.c > 0 && shape.h > 0 && shape.w > 0 && shape.count() <= kMostElements);
  }
}

void check_parameters(const Parameters& parameters) {
  int64_t end = 0;
  for (const ParameterEntry& entry : parameters.entries()) {
    REQUIRE(entry.offset >= end && entry.stored_count >= entry.parameter.count() && entry.parameter.count() > 0);
    end = entry.offset + entry.stored_count;
  }
  REQUIRE(end <= kMostElements && parameters.logical_count() <= end);
  REQUIRE(parameters.arena_bytes(Role::parameter) >= end * int64_t{sizeof(float)});
}

struct Numbers {
  std::vector<float> values;
  bool operator==(const Numbers&) const = default;

  void add(const std::vector<float>& more) { values.insert(values.end(), more.begin(), more.end()); }
};

// The output, and after two training steps the weights.
Numbers computed(const std::vector<Layer>& layers, const Shape& shape, const std::vector<std::string>& keep) {
  Network network(layers, cpu::open(1), {.seed = 7});
  network.parameters().initialise(Initialisation::he, 3);
  ForwardCall call;
  call.images.shape = shape;
  call.images.bytes = {network.host_pool()->take(shape.count() * int64_t{sizeof(float)}), shape.count() * int64_t{sizeof(float)}};
  auto* pixels = static_cast<float*>(call.images.bytes.memory->data());
  for (int64_t i = 0; i < shape.count(); ++i) pixels[i] = static_cast<float>(i * 7919 % 256);
  call.keep = keep;
  call.training = true;
  Numbers numbers;
  for (int step = 0; step < 2; ++step) {
    const ForwardAnswer answer = network.forward(call);
    numbers.add(answer.output.values);
    BackwardCall backward;
    backward.gradient = {answer.output.dimensions, std::vector<float>(answer.output.values.size(), 0.01f)};
    try {
      network.backward(backward);
      network.update({.rate = 0.01f, .momentum = 0.9f, .decay = 0.001f, .rates = {}});
    } catch (const Error& error) {  // the same in either plan
      if (error.code() != std::string(kNotFinite)) throw;
      return numbers;
    }
  }
  for (const ParameterEntry& entry : network.parameters().entries())
    numbers.add(network.read(Role::parameter, entry.parameter.name).values);
  return numbers;
}

// Whether a value is not finite somewhere: comparing such ones says nothing.
bool finite(const Numbers& numbers) {
  return std::ranges::all_of(numbers.values, [](float value) { return std::isfinite(value); });
}

bool is_small(const std::vector<Layer>& layers, const Shape& images, const Execution& execution, const Parameters& parameters) {
  int64_t operations = 0;
  for (const PlannedStage& stage : execution.plan().stages) operations += 1 + multiply_adds(stage.layer, stage.input_shape);
  return layers.size() <= 12 && execution.arena_bytes() + 3 * parameters.arena_bytes(Role::parameter) <= kMostBytes &&
         operations <= kMostOperationsRun && images.c <= 64;
}

void check(fuzz::Bytes& bytes) {
  const uint8_t flags = bytes.byte(), named = bytes.byte();
  const Shape images{size_from(bytes), size_from(bytes), size_from(bytes), size_from(bytes)};
  const std::vector<Layer> layers = layers_from(bytes);
  check_layers(layers);

  static const auto backend = cpu::open(1);
  const Parameters parameters(*backend, layers);
  check_parameters(parameters);
  PlanOptions options;
  options.images = flags & 1 ? DType::uint8 : DType::float32;
  options.training = flags & 2;
  options.exact = flags & 4;
  options.wants_image_gradient = flags & 8;
  const std::vector<std::string> names = tensor_names(layers);
  if (flags & 16) options.keep.push_back(names[named % names.size()]);
  if (flags & 32) options.frozen.insert(names[named / 2 % names.size()]);
  // values of a tensor are given, so there is memory for as many as it has channels
  if (flags & 64 && images.c <= kMostChannels) options.from = names[named / 4 % names.size()];
  const Execution execution(*backend, make_plan(layers, images, options));
  check_plan(execution.plan());
  check_lifetimes(execution);
  if (!options.from.empty() || !is_small(layers, images, execution, parameters)) return;

  const Numbers joined = computed(layers, images, {}), apart = computed(layers, images, names);
  REQUIRE(joined == apart || !finite(joined) || !finite(apart));
}

}  // namespace
}  // namespace vggnet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vggnet;
  fuzz::Bytes bytes(data, size);
  try {
    check(bytes);
  } catch (const Error& error) {
    const std::string code = error.code();
    if (code != kInvalidArgument && code != kShapeMismatch && code != kOutOfMemory) {
      std::fprintf(stderr, "%s: %s\n", code.c_str(), error.what());
      std::abort();
    }
  }
  return 0;
}
