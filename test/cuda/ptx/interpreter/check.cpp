#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

namespace ptx {
namespace {

// How far the two forms of a kernel may lie apart: units in the last place of the value, or of `magnitude` where the value is
// smaller because terms cancel. The units are of float32 or double; what is stored as bfloat16 may be rounded to the
// neighbour. All other kernels: not at all, but for which NaN it is.
struct Tolerance {
  const char *kernel, *buffer;  // how the kernel's name starts; no buffer: all
  double units, magnitude;
  const char* reason;
};
constexpr Tolerance kTolerances[] = {
    {"LocalNormForward", "y", 6, 0, "fused multiply-adds; the device's log2f and exp2f are others than the host's"},
    {"LocalNormGradient", "dx", 6, 1, "the same, and differences of products"},
    {"TakeParts", "scratch", 0x1p31, 0, "double sums of exp2f, where the device's is another than the host's: 4 units of float32"},
    {"JoinParts", "", 4, 1, "exp and log of double are others than the host's; the loss is a difference"},
    {"Report", "results", 1, 0, "a fused multiply-add"},
    {"SoftmaxLossGradient", "dx", 4, 0, "the device's exp2f is another than the host's"},
    {"Descend", "", 2, 1, "fused multiply-adds, whose terms may cancel"},
};

const Tolerance* tolerance_of(const std::string& kernel, const std::string& buffer) {
  const auto* found = std::ranges::find_if(kTolerances, [&](const Tolerance& one) {
    return kernel.starts_with(one.kernel) && (*one.buffer == 0 || buffer == one.buffer);
  });
  return found == std::end(kTolerances) ? nullptr : found;
}

// One element of a buffer.
struct Value {
  uint64_t bits;
  double number;
  bool integer;
};

int bytes_of(Kind kind) { return kind == Kind::bytes ? 1 : kind == Kind::bfloat16 ? 2 : kind == Kind::float32 ? 4 : 8; }

Value value_at(const std::byte* at, Kind kind) {
  uint64_t bits = 0;
  std::memcpy(&bits, at, static_cast<size_t>(bytes_of(kind)));
  switch (kind) {
    case Kind::bytes: return {bits, static_cast<double>(bits), true};
    case Kind::bfloat16: return {bits, __builtin_bit_cast(float, static_cast<uint32_t>(bits << 16)), false};
    case Kind::float32: return {bits, __builtin_bit_cast(float, static_cast<uint32_t>(bits)), false};
    case Kind::words: return {bits, __builtin_bit_cast(double, bits), bits >> 52 == 0};
  }
  return {};
}

// In units of the last place. Infinite where no tolerance allows it.
double difference(const Value& device, const Value& host, Kind kind, const Tolerance* tolerance) {
  if (device.bits == host.bits || (std::isnan(device.number) && std::isnan(host.number))) return 0;
  if (!tolerance || (device.integer && host.integer) || !std::isfinite(device.number) || !std::isfinite(host.number))
    return std::numeric_limits<double>::infinity();
  if (kind == Kind::bfloat16 && (device.bits - host.bits == 1 || host.bits - device.bits == 1)) return 1;
  const int mantissa = kind == Kind::words ? 52 : 23, least = kind == Kind::words ? -1022 : -126,
            exponent = std::max(std::ilogb(std::max(std::fabs(host.number), tolerance->magnitude)), least);
  return std::ldexp(std::fabs(device.number - host.number), mantissa - exponent);
}

template <class... Values>
std::string formatted(const char* format, Values... values) {
  char text[128];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}
std::string text_of(const Value& value) {
  return formatted("%.17g (0x%llx)", value.number, static_cast<unsigned long long>(value.bits));
}

// Throws Fault at the first element that lies too far away; else the largest difference.
double compare(const std::string& kernel, const Memory& memory) {
  double worst = 0;
  for (const auto& buffer : memory.buffers()) {
    const Tolerance* tolerance = tolerance_of(kernel, buffer->name);
    const double allowed = tolerance ? tolerance->units : 0;
    const int bytes = bytes_of(buffer->kind);
    for (int64_t at = 0; at + bytes <= buffer->bytes; at += bytes) {
      const Value device = value_at(&buffer->device[static_cast<size_t>(at)], buffer->kind),
                  host = value_at(buffer->host + at, buffer->kind);
      const double units = difference(device, host, buffer->kind, tolerance);
      if (units > allowed)
        throw Fault(kernel + ": element " + std::to_string(at / bytes) + " of " + buffer->name + ": the device's code writes " +
                    text_of(device) + ", the host form " + text_of(host) + ": " +
                    formatted("%.3g units apart, %.3g allowed (%s)", units, allowed, tolerance ? tolerance->reason : "exact"));
      worst = std::max(worst, units);
    }
  }
  return worst;
}

}  // namespace

void Checker::load(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw Fault("cannot read " + path);
  modules_.push_back(std::make_unique<Module>(parse(path.substr(path.rfind('/') + 1), text.str())));
  const Module& module = *modules_.back();
  for (const Entry& entry : module.entries)
    if (!kernels_.emplace(entry.kernel, Known{&module, &entry}).second) throw Fault("two kernels are called " + entry.kernel);
}

void Checker::launch(Memory& memory, const Launch& launch) {
  try {
    const auto known = kernels_.find(launch.kernel);
    if (known == kernels_.end()) throw Fault("no PTX for " + launch.kernel);
    auto& [module, entry, launches, items, worst, times] = known->second;
    ++launches;
    items += launch.items;
    memory.begin_launch();
    run(*module, *entry, launch.parameters, launch.items, memory, times);
    launch.on_host();
    worst = std::max(worst, compare(launch.kernel, memory));
  } catch (const Fault& fault) {
    findings_.push_back(fault.what());
  }
}

void Checker::print() const {
  std::map<std::string, int64_t> forms;
  for (const auto& [kernel, known] : kernels_) {
    for (size_t i = 0; i < known.times.size(); ++i) {
      const Instruction& in = known.entry->code[i];
      forms[known.module->forms[in.form]] += known.times[i];
      if (known.times[i] == 0)
        std::printf("never\t%s\t%s:%d\t%s\n", kernel.c_str(), known.module->file.c_str(), in.line, known.module->text(in).c_str());
    }
    std::printf("kernel\t%s\t%lld\t%lld\t%.3g\t%zu\t%lld\n", kernel.c_str(), static_cast<long long>(known.launches),
                static_cast<long long>(known.items), known.worst, known.times.size(),
                static_cast<long long>(std::ranges::count(known.times, 0)));
  }
  for (const auto& [form, times] : forms) std::printf("form\t%s\t%lld\n", form.c_str(), static_cast<long long>(times));
  for (const std::string& finding : findings_) std::printf("finding\t%s\n", finding.c_str());
}

}  // namespace ptx
