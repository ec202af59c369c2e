#include "group/mpi.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "tensor/shared_library.hpp"

namespace vggnet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kPart = int64_t{1} << 20;  // floats that travel at once
constexpr int kWords = 8192;                 // bytes of a text of MPI
// A message of gather begins with its length; what does not fit into it follows in a second one.
constexpr int64_t kFrame = 512, kLength = sizeof(int64_t);

std::string text_of(const auto& read) {
  std::array<char, kWords> words{};
  return read(words.data(), kWords) == 0 ? std::string(words.data()) : std::string();
}

void* load_first(const std::vector<std::string>& paths, int flags) {
  std::string reasons;
  for (const std::string& path : paths) {
    if (void* library = dlopen(path.c_str(), flags)) return library;
    reasons += (reasons.empty() ? "" : "; ") + std::string(dlerror());
  }
  throw Error(kGroupUnavailable, "MPI could not be loaded: " + reasons);
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "an unnamed host";
}

// condition_variable::wait needs a newer libstdc++ than RHEL 9 has.
void wait_for(std::condition_variable& signal, std::unique_lock<std::mutex>& lock, const auto& condition) {
  while (!signal.wait_for(lock, std::chrono::hours(1), condition)) continue;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::atomic<bool> begun = false;
std::atomic<MpiGroup*> the_group = nullptr;

}  // namespace

MpiGroup& MpiGroup::open(const MpiFiles& files) {
  if (begun.exchange(true))
    throw Error(kState, "a process can open its group once, and this one has: pass the group on, or start another process");
  auto* const group = new MpiGroup(files);  // needed by its thread until the process ends, also where this fails
  group->begin();
  the_group = group;
  return *group;
}

MpiGroup& MpiGroup::opened() {
  if (MpiGroup* const group = the_group) return *group;
  throw Error(kState, "this process has opened no group");
}

MpiGroup::MpiGroup(const MpiFiles& files) {
  // global: the shim finds its symbols there, and so do MPI's own plug-ins
  void* mpi = load_first(files.libraries, RTLD_NOW | RTLD_GLOBAL);
  library_ = path_of(mpi);
  const bool is_openmpi = dlsym(mpi, "ompi_mpi_comm_world") != nullptr;
  void* shim = load_first({is_openmpi ? files.shim_openmpi : files.shim_mpich}, RTLD_NOW | RTLD_LOCAL);
  auto* table = symbol<VggnetMpiTable>(shim, kMpiTableSymbol);
  if (!table || table()->table != kMpiTable)
    throw Error(kGroupUnavailable, path_of(shim) + " belongs to another version of vggnet");
  mpi_ = table();
  version_ = text_of([&](char* text, int size) { return mpi_->library_text(text, size); });
  version_ = version_.substr(0, version_.find_first_of("\n,"));  // "Open MPI v5.0.11", "MPICH Version:      5.0.2"
}

void MpiGroup::begin() {
  std::thread([this] { run(); }).detach();
  wait(post([this] {
    check(mpi_->initialise(&rank_, &size_), "initialise");
    send_.resize(kPart + size_);
    receive_.resize(kPart + size_);
    hosts_ = gathered(host_name());
  }));
}

std::string MpiGroup::name_of(int rank) const { return "rank " + std::to_string(rank) + " on " + hosts_[rank]; }

void MpiGroup::run() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wait_for(wake_, lock, [&] { return !tasks_.empty(); });
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    try {
      task();
    } catch (const Error& error) {
      fail(error);
    } catch (const std::bad_alloc&) {
      fail(Error(kOutOfMemory, "there is no memory for what the ranks of the group exchange"));
    }
    const std::lock_guard lock(mutex_);
    ++completed_;
    done_.notify_all();
    if (!mpi_) return;
  }
}

uint64_t MpiGroup::post(Task task) {
  const std::lock_guard lock(mutex_);
  throw_if_failed();
  tasks_.push_back(std::move(task));
  wake_.notify_one();
  return ++posted_;
}

void MpiGroup::wait(uint64_t task) {
  std::unique_lock lock(mutex_);
  wait_for(done_, lock, [&] { return completed_ >= task || failure_ != nullptr; });
  throw_if_failed();
}

void MpiGroup::throw_if_failed() const {
  if (!mpi_) throw Error(kState, "this group was closed");  // its thread has ended
  if (failure_) throw Error(*failure_);
}

void MpiGroup::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::make_unique<Error>(error);
  done_.notify_all();
}

void MpiGroup::check(int error, const char* call) {
  if (error == 0) return;
  const std::string text = text_of([&](char* words, int size) { return mpi_->error_text(error, words, size); });
  throw Error(kGroupLost, "MPI could not " + std::string(call) + ": " + (text.empty() ? "error " + std::to_string(error) : text));
}

void MpiGroup::begin_sum(float* values, int64_t count) {
  post([this, values, count] { sum(values, count); });
}

void MpiGroup::finish() {
  const auto start = Clock::now();
  uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    throw_if_failed();
    last = posted_;
  }
  mpi_->set_core_is_free(true);
  wait(last);
  mpi_->set_core_is_free(false);
  const std::lock_guard lock(mutex_);
  traffic_.waited += seconds_since(start);
}

Traffic MpiGroup::traffic() const {
  const std::lock_guard lock(mutex_);
  return traffic_;
}

void MpiGroup::sum(float* values, int64_t count) {
  const auto start = Clock::now();
  for (int64_t at = 0; at < count; at += kPart) sum_part(values + at, std::min(kPart, count - at));
  const std::lock_guard lock(mutex_);
  ++traffic_.sums;
  traffic_.bytes += count * int64_t{sizeof(float)};
  traffic_.seconds += seconds_since(start);
}

// Each rank adds up its own block of the values. The caller's memory is touched with the mutex only, and not after a failure: it
// may be freed then.
void MpiGroup::sum_part(float* values, int64_t count) {
  const int64_t each = (count + size_ - 1) / size_;
  {
    const std::lock_guard lock(mutex_);
    throw_if_failed();
    std::copy_n(values, count, send_.data());
  }
  std::fill(send_.begin() + count, send_.begin() + each * size_, 0.0f);
  check(mpi_->exchange(send_.data(), receive_.data(), static_cast<int>(each)), "exchange gradients");
  float* const own = receive_.data();
  for (int rank = 1; rank < size_; ++rank) {
    const float* const theirs = own + rank * each;
    for (int64_t i = 0; i < each; ++i) own[i] += theirs[i];
  }
  check(mpi_->gather(own, send_.data(), static_cast<int>(each * int64_t{sizeof(float)})), "gather gradients");
  const std::lock_guard lock(mutex_);
  throw_if_failed();
  std::copy_n(send_.data(), count, values);
}

std::vector<std::string> MpiGroup::gather(const std::string& own) {
  if (std::ssize(own) > kMostGathered)
    throw Error(kInvalidArgument, "Expected at most " + std::to_string(kMostGathered) + " bytes for a message to the group but received " +
                                      std::to_string(own.size()));
  const auto result = std::make_shared<std::vector<std::string>>();
  wait(post([this, own, result] { *result = gathered(own); }));
  return std::move(*result);
}

std::vector<std::string> MpiGroup::gathered(const std::string& own) {
  std::vector<char> frame(kFrame);
  const int64_t length = std::ssize(own), inside = kFrame - kLength;
  std::memcpy(frame.data(), &length, kLength);
  std::memcpy(frame.data() + kLength, own.data(), std::min(length, inside));
  const std::vector<char> frames = gathered_bytes(frame.data(), kFrame);
  std::vector<int64_t> lengths(size_);
  for (int rank = 0; rank < size_; ++rank) std::memcpy(&lengths[rank], frames.data() + rank * kFrame, kLength);
  const int64_t longest = std::ranges::max(lengths), rest = std::max<int64_t>(0, longest - inside);
  std::string tail = length > inside ? own.substr(inside) : "";
  tail.resize(rest);
  const std::vector<char> tails = gathered_bytes(tail.data(), rest);
  std::vector<std::string> all;
  for (int rank = 0; rank < size_; ++rank) {
    const int64_t first = std::min(lengths[rank], inside);
    all.emplace_back(frames.data() + rank * kFrame + kLength, first);
    all.back().append(tails.data() + rank * rest, lengths[rank] - first);
  }
  return all;
}

std::vector<char> MpiGroup::gathered_bytes(const void* own, int64_t bytes) {
  std::vector<char> all(bytes * size_);
  if (bytes > 0) check(mpi_->gather(own, all.data(), static_cast<int>(bytes)), "gather messages");
  return all;
}

bool MpiGroup::close(double seconds) {
  uint64_t last = 0;
  try {
    last = post([this] {
      const int error = mpi_->finalise();
      check(error, "end");
      const std::lock_guard lock(mutex_);
      mpi_ = nullptr;
    });
  } catch (const Error&) {
    return false;
  }
  std::unique_lock lock(mutex_);
  return done_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return completed_ >= last || failure_; }) && !failure_;
}

}  // namespace vggnet
