// The part of libFuzzer that a machine without clang needs: TARGET [-runs=N] [-seed=S] [FILE or FOLDER ...] runs every file, and
// then N mutations of them, the same for the same seed. An input that ends the process is written to crash-SEED-RUN in the
// working folder.
#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "target.hpp"

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kMostBytes = 1 << 16;

struct Current {
  std::string name;
  Input bytes;
};
Current current;

// Of a crash; the process ends after it.
void write_input() {
  std::ofstream(current.name, std::ios::binary).write(reinterpret_cast<const char*>(current.bytes.data()), std::ssize(current.bytes));
  std::fprintf(stderr, "the input was written to %s\n", std::filesystem::absolute(current.name).c_str());
}

void run(std::string name, const Input& bytes) {
  current = {std::move(name), bytes};
  LLVMFuzzerTestOneInput(current.bytes.data(), current.bytes.size());
}

Input read(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& given) {
  if (!std::filesystem::is_directory(given)) return {given};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(given)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  Input mutated(const std::vector<Input>& inputs) {
    Input bytes = inputs[below(inputs.size())];
    for (size_t left = 1 + below(6); left > 0; --left) mutate(bytes, inputs);
    if (bytes.size() > kMostBytes) bytes.resize(kMostBytes);
    return bytes;
  }

 private:
  void mutate(Input& bytes, const std::vector<Input>& inputs) {
    const size_t at = below(bytes.size() + 1), count = std::min(bytes.size() - at, 1 + below(8));
    const auto position = bytes.begin() + static_cast<ptrdiff_t>(at);
    switch (below(6)) {
      case 0:
        for (size_t i = 0; i < count; ++i) position[i] = any();
        break;
      case 1:
        if (count > 0) *position ^= static_cast<uint8_t>(1 << below(8));
        break;
      case 2:
        std::fill_n(position, count, kExtremes[below(std::size(kExtremes))]);
        break;
      case 3:
        bytes.erase(position, position + static_cast<ptrdiff_t>(count));
        break;
      case 4:
        bytes.insert(position, 1 + below(8), any());
        break;
      default: {  // the rest of another input
        const Input& other = inputs[below(inputs.size())];
        bytes.erase(position, bytes.end());
        const size_t from = std::min(other.size(), at);
        bytes.insert(bytes.end(), other.begin() + static_cast<ptrdiff_t>(from), other.end());
      }
    }
  }

  size_t below(size_t most) { return random_() % most; }
  uint8_t any() { return static_cast<uint8_t>(random_()); }

  static constexpr uint8_t kExtremes[] = {0, 1, 0x7f, 0x80, 0xff};
  std::mt19937 random_;
};

}  // namespace

// An abort is a crash too.
extern "C" const char* __asan_default_options() { return "handle_abort=1"; }
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1"; }

int main(int count, char** words) {
  uint64_t runs = 0, seed = 1;
  std::vector<Input> inputs;
  __sanitizer_set_death_callback(write_input);
  for (const std::string& word : std::vector<std::string>(words + 1, words + count)) {
    if (word.starts_with("-runs=")) {
      runs = std::stoull(word.substr(6));
    } else if (word.starts_with("-seed=")) {
      seed = std::stoull(word.substr(6));
    } else {
      for (const auto& file : files_of(word)) inputs.push_back(read(file));
    }
  }
  if (inputs.empty()) inputs.emplace_back();
  for (size_t i = 0; i < inputs.size(); ++i) run("crash-file-" + std::to_string(i), inputs[i]);
  Mutator mutator(static_cast<uint32_t>(seed));
  for (uint64_t i = 0; i < runs; ++i) run("crash-" + std::to_string(seed) + "-" + std::to_string(i), mutator.mutated(inputs));
  std::printf("Done %zu runs\n", inputs.size() + runs);
}
