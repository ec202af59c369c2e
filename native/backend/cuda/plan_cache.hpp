#pragma once
// What was once found out about this card by trial, in files that the next process reads. Whatever is wrong with a file
// or a folder, it counts as not there.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vggnet::cuda {

class PlanCache {
 public:
  explicit PlanCache(std::string folder) : folder_(std::move(folder)) {}  // empty: remembers nothing

  std::optional<std::vector<uint8_t>> find(const std::string& key) const;
  void keep(const std::string& key, const std::vector<uint8_t>& value) const;
  std::string path_of(const std::string& key) const;

 private:
  std::string folder_;
};

// The user's own: VGGNET_CACHE, else XDG_CACHE_HOME, else ~/.cache. Empty where there is none.
std::string plan_cache_folder();

}  // namespace vggnet::cuda
