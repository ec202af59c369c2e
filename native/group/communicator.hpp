#pragma once
// The contract between a network and the other ranks of its group: processes that train one network together. Every rank
// makes the same calls in the same order.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/error.hpp"

namespace vggnet {

// Since the group was opened.
struct Traffic {
  int64_t sums = 0, bytes = 0;       // of the values that were summed
  double seconds = 0, waited = 0;    // in which sums were made, and in which `finish` waited for them
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string name_of(int rank) const = 0;  // "rank 1 on node-b"

  // Replaces `values` by their sum over all ranks, element by element, added in the order of the ranks, and each element on one
  // rank only: the same bits on all. It begins now, and has ended when `finish` returns.
  virtual void begin_sum(float* values, int64_t count) = 0;
  virtual void finish() = 0;
  virtual Traffic traffic() const = 0;

  // The bytes that each rank gives, in the order of the ranks; of different lengths, up to kMostGathered each.
  virtual std::vector<std::string> gather(const std::string& own) = 0;

  // This rank or another takes no part any more: calls that wait, and all later ones, throw the error, and no memory given to
  // begin_sum is touched any more. The first failure counts.
  virtual void fail(const Error&) = 0;

  static constexpr int64_t kMostGathered = int64_t{16} << 20;
};

// What `work` gives on each rank. Where it fails on some ranks, all of them throw the error of the first, with its name.
std::vector<std::string> agree(Communicator&, const std::function<std::string()>& work);

}  // namespace vggnet
