#pragma once
// A group whose ranks were started by an MPI launcher. All calls of MPI are made by one thread, which outlives everything: where
// another rank is lost it may never return from one.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "group/communicator.hpp"
#include "group/shim/functions.hpp"
#include "tensor/error.hpp"

namespace vggnet {

struct MpiFiles {
  std::vector<std::string> libraries;    // that may be the launcher's libmpi.so: paths, or names for the system to find
  std::string shim_openmpi, shim_mpich;  // paths of the libraries made of shim.cpp
};

class MpiGroup final : public Communicator {
 public:
  // Once in a process. Waits until all ranks have come. Throws GROUP_UNAVAILABLE; STATE the second time.
  static MpiGroup& open(const MpiFiles&);
  static MpiGroup& opened();  // STATE before

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string name_of(int rank) const override;
  void begin_sum(float* values, int64_t count) override;
  void finish() override;
  Traffic traffic() const override;
  std::vector<std::string> gather(const std::string& own) override;
  void fail(const Error&) override;

  const std::string& library() const { return library_; }  // its path
  const std::string& version() const { return version_; }
  const std::vector<std::string>& hosts() const { return hosts_; }

  // Ends MPI, which waits for all ranks to do so; false where they have not within this time, or where the group has failed.
  bool close(double seconds);

 private:
  using Task = std::function<void()>;

  explicit MpiGroup(const MpiFiles&);
  void begin();
  void run();
  uint64_t post(Task);
  void wait(uint64_t task);
  void check(int error, const char* call);
  void sum(float* values, int64_t count);
  void sum_part(float* values, int64_t count);
  std::vector<std::string> gathered(const std::string& own);
  std::vector<char> gathered_bytes(const void* own, int64_t bytes);
  void throw_if_failed() const;  // with the mutex

  const VggnetMpi* mpi_ = nullptr;
  std::string library_, version_;
  int rank_ = 0, size_ = 1;
  std::vector<std::string> hosts_;
  std::vector<float> send_, receive_;  // of the thread

  mutable std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Task> tasks_;
  uint64_t posted_ = 0, completed_ = 0;
  std::unique_ptr<Error> failure_;
  Traffic traffic_;
};

}  // namespace vggnet
