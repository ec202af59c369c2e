#include "backend/cuda/plan_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

std::string quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "\"";
}

// Whatever the locale.
std::string decimal(double number) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 6).ptr;
  return {text.data(), end};
}

std::string json(const PlanLine& line) {
  std::string text = std::string("{\"kind\":") + quoted(line.kind);
  const auto add = [&](const char* name, const std::string& value) { text += std::string(",\"") + name + "\":" + value; };
  const auto number = [&](const char* name, std::optional<double> value) {
    if (value && std::isfinite(*value)) add(name, decimal(*value));
  };
  const auto count = [&](const char* name, std::optional<int64_t> value) {
    if (value) add(name, std::to_string(*value));
  };
  add("graph", quoted(line.graph));
  add("plan", quoted(line.plan));
  add("source", quoted(line.source));
  if (!line.alternative.empty()) add("alternative", quoted(line.alternative));
  number("build_s", line.build_s);
  number("ms", line.ms);
  if (line.ms) number("tflops", line.operations / *line.ms / 1e9);
  number("error", line.error);
  count("workspace", line.workspace);
  if (!line.refused.empty()) add("refused", quoted(line.refused));
  if (line.chosen) add("chosen", "true");
  count("searched", line.searched);
  count("offered", line.offered);
  number("seconds", line.seconds);
  return text + "}\n";
}

}  // namespace

// One write of a whole line to a file opened to append: lines of several threads and processes do not mix.
void log_plan(const PlanLine& line) {
  const char* path = std::getenv("VGGNET_CUDA_LOG");
  if (!path || !*path) return;
  const int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0)
    throw Error(kInvalidArgument, std::string("VGGNET_CUDA_LOG: cannot append to '") + path + "': " + std::strerror(errno));
  const std::string text = json(line);
  [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());  // a full disk stops no training
  close(file);
}

}  // namespace vggnet::cuda
