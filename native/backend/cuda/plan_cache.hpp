#pragma once
// The plans chosen on this card, in files that the next process reads. A file or folder that cannot be used counts as
// missing.
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

// The user's cache: VGGNET_CACHE, else XDG_CACHE_HOME, else ~/.cache. Empty where there is none.
std::string plan_cache_folder();

}  // namespace vggnet::cuda
