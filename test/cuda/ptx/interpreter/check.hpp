#pragma once
// Runs every launch twice, as PTX and as the host form of the same kernel, and compares what the two write.
#include <functional>

#include "run.hpp"

namespace ptx {

struct Launch {
  std::string kernel;  // type, demangled
  std::vector<std::byte> parameters;
  int64_t items;
  std::function<void()> on_host;
};

class Checker {
 public:
  void load(const std::string& path);  // a file of PTX
  void launch(Memory&, const Launch&);
  // A line each, its words separated by tabs: "kernel" with launches, items, the worst difference, instructions and how
  // many of them no thread came to; "never" with such an instruction; "form" with how often it ran; "finding".
  void print() const;

 private:
  struct Known {
    const Module* module;
    const Entry* entry;
    int64_t launches = 0, items = 0;
    double worst = 0;  // units in the last place
    std::vector<int64_t> times = std::vector<int64_t>(entry->code.size());  // that a thread came to each instruction
  };

  std::vector<std::unique_ptr<Module>> modules_;
  std::map<std::string, Known> kernels_;  // by Entry::kernel
  std::vector<std::string> findings_;
};

// A card's stream, as launch.hpp is given it.
struct Card {
  Checker& checker;
  Memory memory;
};

}  // namespace ptx
