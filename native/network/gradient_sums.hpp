#pragma once
// Adds up the gradients of the ranks of a group while the backward pass goes on.
#include <set>
#include <string>

#include "group/communicator.hpp"
#include "network/parameters.hpp"

namespace vggnet {

// The last layers come first, as in a backward pass. The parts in which the arena is summed depend on nothing but the layers, so
// that they are the same on all ranks.
class GradientSums {
 public:
  GradientSums(Communicator&, Parameters&, const std::set<std::string>& frozen);

  void ready(const std::string& layer);  // the gradients of this layer, and of those after it, are there
  void finish();                         // all are: waits until they are summed on all ranks

 private:
  void add(const ParameterEntry&);
  void begin_sum();

  Communicator& group_;
  const std::vector<ParameterEntry>& entries_;
  const std::set<std::string>& frozen_;
  float* const arena_;
  size_t left_;  // entries before it are to come
  int64_t begin_ = 0, end_ = 0;  // what is ready and not summed yet, in floats of the arena
};

}  // namespace vggnet
