#include "backend/cuda/plan_cache.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

namespace vggnet::cuda {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "vggnet plan 1\n";

// FNV-1a
uint64_t hash_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

std::string hexadecimal(uint64_t number) {
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, number >>= 4) text[i] = "0123456789abcdef"[number & 15];
  return text;
}

std::string eight_bytes(uint64_t number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// magic, length of the key, key, value, hash of all before it
std::string file_of(const std::string& key, const std::vector<uint8_t>& value) {
  std::string file = std::string(kMagic) + eight_bytes(key.size()) + key;
  file.append(value.begin(), value.end());
  return file + eight_bytes(hash_of(file));
}

std::optional<std::vector<uint8_t>> value_in(std::string_view file, const std::string& key) {
  const std::string head = std::string(kMagic) + eight_bytes(key.size()) + key;
  const size_t tail = sizeof(uint64_t);
  if (file.size() < head.size() + tail || !file.starts_with(head)) return std::nullopt;
  if (file.substr(file.size() - tail) != eight_bytes(hash_of(file.substr(0, file.size() - tail)))) return std::nullopt;
  const std::string_view value = file.substr(head.size(), file.size() - head.size() - tail);
  return std::vector<uint8_t>(value.begin(), value.end());
}

// No other process, and no other thread of this one, writes there.
fs::path unfinished(const fs::path& path) {
  static std::atomic<int> count = 0;
  return path.string() + "." + std::to_string(getpid()) + "." + std::to_string(count++) + ".unfinished";
}

}  // namespace

std::string PlanCache::path_of(const std::string& key) const {
  return (fs::path(folder_) / (hexadecimal(hash_of(key)) + ".plan")).string();
}

std::optional<std::vector<uint8_t>> PlanCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  std::error_code ignored;
  if (!fs::is_regular_file(path_of(key), ignored)) return std::nullopt;
  std::ifstream stream(path_of(key), std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) return std::nullopt;
  return value_in(file, key);
}

void PlanCache::keep(const std::string& key, const std::vector<uint8_t>& value) const {
  if (folder_.empty()) return;
  std::error_code failed;
  fs::create_directories(folder_, failed);
  const fs::path path = path_of(key), draft = unfinished(path);
  const std::string file = file_of(key, value);
  std::ofstream stream(draft, std::ios::binary);
  stream.write(file.data(), static_cast<std::streamsize>(file.size()));
  stream.close();
  if (stream) fs::rename(draft, path, failed);
  if (!stream || failed) fs::remove(draft, failed);
}

std::string plan_cache_folder() {
  const auto variable = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  std::error_code failed;
  fs::path folder;
  if (const fs::path own = variable("VGGNET_CACHE"); !own.empty()) {
    folder = fs::absolute(own, failed);
  } else if (const fs::path cache = variable("XDG_CACHE_HOME"); cache.is_absolute()) {
    folder = cache / "vggnet";
  } else if (const fs::path home = variable("HOME"); home.is_absolute()) {
    folder = home / ".cache" / "vggnet";
  }
  return folder.empty() || failed ? "" : (folder / "plans").string();
}

}  // namespace vggnet::cuda
