#include "backend/cpu/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "tensor/error.hpp"

namespace vggnet::cpu {
namespace {

constexpr int64_t kHugePage = 2 << 20, kPage = 4096;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number after `key` at the start of a line.
std::optional<int64_t> field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    int64_t value;
    if (words >> word && word == key && words >> value) return value;
  }
  return std::nullopt;
}

std::optional<int64_t> number(const std::string& path) {
  std::ifstream file(path);
  int64_t value;
  if (file >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

struct GroupFiles {
  const char *mount, *limit, *usage, *reclaimable;
};
constexpr GroupFiles kVersion2 = {"/sys/fs/cgroup", "/memory.max", "/memory.current", "inactive_file"};
constexpr GroupFiles kVersion1 = {"/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                  "total_inactive_file"};

// Room below the tightest limit of a group and of those around it. In a container the path may be one of the host's,
// which does not exist here; then only the root counts, and that is the container's own group.
int64_t room_in_group(const GroupFiles& files, std::string path) {
  int64_t room = kUnlimited;
  while (true) {
    const std::string folder = files.mount + path;
    const auto limit = number(folder + files.limit), usage = number(folder + files.usage);
    if (limit && usage) {
      const int64_t reclaimable = field(folder + "/memory.stat", files.reclaimable).value_or(0);
      room = std::min(room, std::max<int64_t>(0, *limit - *usage + reclaimable));
    }
    if (path.empty()) return room;
    path.erase(path.rfind('/'));
  }
}

// Lines of /proc/self/cgroup: "0::/path" (version 2), "9:memory:/path" (version 1).
int64_t room_in_groups() {
  int64_t room = kUnlimited;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos || second + 1 >= line.size()) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/" || path[0] != '/') path.clear();
    if (controllers.empty()) room = std::min(room, room_in_group(kVersion2, path));
    if (controllers.find("memory") != std::string::npos) room = std::min(room, room_in_group(kVersion1, path));
  }
  return room;
}

// Anonymous pages: zero at first, and given back at once when freed.
class Pages final : public Memory {
 public:
  explicit Pages(int64_t bytes) {
    bytes_ = bytes;
    // Whole huge pages from an address that suits them; what is mapped and never touched costs nothing.
    length_ = bytes < kHugePage ? round_up(std::max<int64_t>(bytes, 1), kPage)
                                : round_up(bytes, kHugePage) + kHugePage;
    base_ = mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) {
      throw Error(kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes: the system will not map them (" +
                                    std::to_string(available_bytes()) + " bytes are available)");
    }
    data_ = base_;
    if (bytes < kHugePage) return;
    data_ = reinterpret_cast<void*>(round_up(reinterpret_cast<int64_t>(base_), kHugePage));
    madvise(data_, round_up(bytes, kHugePage), MADV_HUGEPAGE);  // a kernel without huge pages may refuse
  }
  ~Pages() override { munmap(base_, length_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

 private:
  void* base_ = nullptr;
  int64_t length_ = 0;
};

}  // namespace

int64_t available_bytes() {
  const int64_t kilobytes = field("/proc/meminfo", "MemAvailable:").value_or(kUnlimited / 1024);
  return std::min(kilobytes * 1024, room_in_groups());
}

std::unique_ptr<Memory> allocate(int64_t bytes) {
  const int64_t available = available_bytes();
  if (bytes > available) {
    throw Error(kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes: only " + std::to_string(available) +
                                  " bytes are available");
  }
  return std::make_unique<Pages>(bytes);
}

}  // namespace vggnet::cpu
