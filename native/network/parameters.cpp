#include "network/parameters.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <thread>

#include "network/calls.hpp"
#include "tensor/error.hpp"
#include "tensor/random.hpp"

namespace vggnet {
namespace {

constexpr uint32_t kInitialisationStream = 0xFFFFFFFFu;  // apart from every dropout stream
constexpr int64_t kOutputsAtOnce = 128;  // 13 MB of fc6
constexpr int64_t kDigested = int64_t{1} << 20;  // floats at once
constexpr int64_t kLeastCount = 16;  // a network without parameters still has an address

double standard_deviation(Initialisation scheme, const Parameter& weight) {
  switch (scheme) {
    case Initialisation::paper: return 0.01;
    case Initialisation::he: return std::sqrt(2.0 / static_cast<double>(weight.fan_in()));
    case Initialisation::glorot: return std::sqrt(2.0 / static_cast<double>(weight.fan_in() + weight.fan_out()));
  }
  return 0;
}

// Four deviates for each Philox call: element e comes from counter e / 4, whatever the number of threads. The first value
// is element `begin`, a multiple of 4.
void fill_normal(std::vector<float>& values, int64_t begin, double deviation, uint64_t seed, uint32_t array) {
  const int64_t groups = static_cast<int64_t>(values.size() + 3) / 4;
  const auto fill = [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t group = begin / 4 + i;
      const Philox bits = philox(seed, static_cast<uint32_t>(group), array, static_cast<uint32_t>(group >> 32), kInitialisationStream);
      const auto a = normal_pair(bits.word[0], bits.word[1]), b = normal_pair(bits.word[2], bits.word[3]);
      const double four[4] = {a[0], a[1], b[0], b[1]};
      for (int64_t j = i * 4; j < std::min<int64_t>(i * 4 + 4, static_cast<int64_t>(values.size())); ++j)
        values[j] = static_cast<float>(deviation * four[j - i * 4]);
    }
  };
  const int64_t workers = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 1 + groups / 65536);
  std::vector<std::jthread> threads;
  for (int64_t i = 1; i < workers; ++i) threads.emplace_back(fill, groups * i / workers, groups * (i + 1) / workers);
  fill(0, groups / workers);
}

const char* name_of(Role role) {
  return role == Role::parameter ? "parameter" : role == Role::gradient ? "gradient" : "velocity";
}

}  // namespace

Parameters::Parameters(Backend& backend, const std::vector<Layer>& layers) : backend_(backend) {
  int64_t channels = std::get<Input>(layers.front()).channels;
  bool after_input = true;
  for (size_t i = 1; i < layers.size(); ++i) {
    for (Parameter& parameter : parameters_of(layers[i], channels)) {
      parameter.reads_image = after_input;
      const int64_t count = backend.stored_count(parameter);
      entries_.push_back({std::move(parameter), stored_count_, count});
      stored_count_ += round_up(count, 16);
      if (stored_count_ > kMostElements)
        throw Error(kInvalidArgument, "Expected at most " + std::to_string(kMostElements) +
                                          " elements for all parameters, as the device stores them, but received " +
                                          std::to_string(stored_count_) + " up to '" + entries_.back().parameter.name + "'");
    }
    after_input = false;
    channels = output_channels(layers[i], channels);
  }
}

const ParameterEntry& Parameters::entry(const std::string& name) const {
  std::string known;
  for (const ParameterEntry& entry : entries_) {
    if (entry.parameter.name == name) return entry;
    known += (known.empty() ? "" : ", ") + entry.parameter.name;
  }
  throw Error(kInvalidArgument, "Expected one of " + known + " for a parameter's name but received '" + name + "'");
}

bool Parameters::has_layer(const std::string& layer) const {
  for (const ParameterEntry& entry : entries_)
    if (entry.parameter.layer == layer) return true;
  return false;
}

int64_t Parameters::logical_count() const {
  int64_t count = 0;
  for (const ParameterEntry& entry : entries_) count += entry.parameter.count();
  return count;
}

void Parameters::initialise(Initialisation scheme, uint64_t seed, const std::set<std::string>& layers) {
  for (size_t array = 0; array < entries_.size(); ++array) {
    const ParameterEntry& entry = entries_[array];
    if (!layers.contains(entry.parameter.layer)) continue;
    const double deviation = entry.parameter.is_weight ? standard_deviation(scheme, entry.parameter) : 0;
    for_each_part(entry, [&](const Parameter& part, int64_t first, int64_t offset) {
      std::vector<float> values(part.count());
      if (part.is_weight) fill_normal(values, first, deviation, seed, static_cast<uint32_t>(array));
      backend_.store(part, values.data(), arena(Role::parameter) + offset);
    });
  }
  changed();
}

std::vector<float> Parameters::read(Role role, const std::string& name) {
  const ParameterEntry& found = entry(name);
  std::vector<float> logical(found.parameter.count());
  if (role == Role::velocity && !allocated(role)) return logical;
  backend_.load(found.parameter, arena(role) + found.offset, logical.data());
  return logical;
}

void Parameters::write(Role role, const std::string& name, int64_t first_output, std::span<const float> logical) {
  const ParameterEntry& found = entry(name);
  const int64_t outputs = found.parameter.outputs, each = found.parameter.fan_in(), given = std::ssize(logical);
  if (first_output % kOutputsAtOnce != 0 || first_output >= outputs)
    throw Error(kInvalidArgument, "Expected a multiple of " + std::to_string(kOutputsAtOnce) + " below " + std::to_string(outputs) +
                                      " for the first output of '" + name + "' but received " + std::to_string(first_output));
  // all outputs from the first one on, or whole parts of them
  const int64_t left = (outputs - first_output) * each;
  if (given != left && (given == 0 || given > left || given % (kOutputsAtOnce * each) != 0))
    throw Error(kShapeMismatch, "Expected " + std::to_string(left) + " values for the " + name_of(role) + " '" + name +
                                    "' but received " + std::to_string(given));
  check_finite(std::string("the ") + name_of(role) + " '" + name + "'", logical.data(), given);
  for_each_part(found, [&](const Parameter& part, int64_t first, int64_t offset) {
    const int64_t at = first - first_output * each;
    if (at >= 0 && at < given) backend_.store(part, logical.data() + at, arena(role) + offset);
  });
  if (role == Role::parameter) changed();
}

template <class Visit>
void Parameters::for_each_part(const ParameterEntry& entry, const Visit& visit) const {
  for (int64_t first = 0; first < entry.parameter.outputs; first += kOutputsAtOnce) {
    Parameter part = entry.parameter, before = entry.parameter;
    part.outputs = std::min(kOutputsAtOnce, entry.parameter.outputs - first);
    before.outputs = first;
    visit(part, before.count(), entry.offset + backend_.stored_count(before));
  }
}

std::optional<std::string> Parameters::first_not_finite(Role role) {
  if (!allocated(role)) return std::nullopt;
  for (const ParameterEntry& entry : entries_) {
    if (!backend_.finite(arena(role) + entry.offset, entry.stored_count)) return entry.parameter.name;
  }
  return std::nullopt;
}

// By lanes, so that a compiler can make vectors of it: FNV-1a of 32 bits in each.
uint64_t Parameters::digest() {
  constexpr size_t kLanes = 16;
  std::vector<uint32_t> part(kDigested);
  std::array<uint32_t, kLanes> lanes{};
  for (int64_t at = 0; at < stored_count_; at += kDigested) {
    const int64_t count = std::min(kDigested, stored_count_ - at);  // a multiple of 16
    backend_.download(arena(Role::parameter) + at, part.data(), count * int64_t{sizeof(float)});
    for (int64_t i = 0; i < count; i += kLanes)
      for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] = (lanes[lane] ^ part[i + lane]) * 16777619u;
  }
  uint64_t digest = 14695981039346656037u;
  for (const uint32_t lane : lanes) digest = (digest ^ lane) * 1099511628211u;
  return digest;
}

int64_t Parameters::arena_bytes(Role role) const {
  return role == Role::parameter ? backend_.parameter_bytes(stored_count_) : stored_count_ * int64_t{sizeof(float)};
}

float* Parameters::arena(Role role) {
  auto& arena = arenas_[static_cast<int>(role)];
  const int64_t count = std::max(stored_count_, kLeastCount);
  if (!arena)
    arena = role == Role::parameter ? backend_.allocate_parameters(count)
                                    : backend_.allocate(count * int64_t{sizeof(float)});
  return static_cast<float*>(arena->data());
}

bool Parameters::allocated(Role role) const { return arenas_[static_cast<int>(role)] != nullptr; }

int64_t Parameters::held_bytes() const {
  int64_t bytes = 0;
  for (const auto& arena : arenas_) bytes += arena ? arena->bytes() : 0;
  return bytes;
}

std::vector<Segment> Parameters::segments(const std::map<std::string, float>& rates,
                                          const std::set<std::string>& frozen) const {
  std::vector<Segment> result;
  for (const ParameterEntry& entry : entries_) {
    if (frozen.contains(entry.parameter.layer)) continue;
    const auto found = rates.find(entry.parameter.layer);
    const float rate = found == rates.end() ? 1 : found->second;
    const int64_t end = entry.offset + round_up(entry.stored_count, 16);  // what lies between two arrays is zero
    if (!result.empty() && result.back().rate == rate && result.back().offset + result.back().count == entry.offset)
      result.back().count = end - result.back().offset;
    else
      result.push_back({entry.offset, end - entry.offset, rate, 1});
  }
  return result;
}

}  // namespace vggnet
