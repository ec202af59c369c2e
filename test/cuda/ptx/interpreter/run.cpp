#include "run.hpp"

#include <algorithm>

namespace ptx {
namespace {

constexpr int64_t kThreads = 256;  // launch.hpp
constexpr int64_t kMostSteps = 10'000'000;  // of a thread

}  // namespace

void run(const Module& module, const Entry& entry, const std::vector<std::byte>& parameters, int64_t items, Memory& memory,
         std::vector<int64_t>& times) {
  if (static_cast<int64_t>(parameters.size()) != entry.parameter_bytes)
    throw Fault(entry.kernel + ": the host's parameters have " + std::to_string(parameters.size()) + " bytes, the device's " +
                std::to_string(entry.parameter_bytes));
  std::vector<uint64_t> slots;
  for (int64_t thread = 0; thread < (items + kThreads - 1) / kThreads * kThreads; ++thread) {
    slots = entry.slots;
    slots[entry.thread] = static_cast<uint64_t>(thread % kThreads);
    slots[entry.block] = static_cast<uint64_t>(thread / kThreads);
    Lane lane = {slots.data(), memory, parameters, thread, 0};
    int64_t steps = 0;
    while (lane.next < entry.code.size()) {
      const size_t now = lane.next++;
      const Instruction& in = entry.code[now];
      ++times[now];
      if (slots[in.guard] != in.wanted) continue;
      try {
        if (++steps > kMostSteps) throw Fault("does not end");
        in.run(lane, in);
      } catch (const Fault& fault) {
        throw Fault(entry.kernel + ", item " + std::to_string(thread) + ", " + module.file + ":" + std::to_string(in.line) + " '" +
                    module.text(in) + "': " + fault.what());
      }
    }
  }
}

}  // namespace ptx
