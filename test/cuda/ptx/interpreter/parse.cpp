#include <cxxabi.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>

#include "module.hpp"

namespace ptx {
namespace {

constexpr uint64_t kUnwritten = 0xdeadbeefdeadbeef;  // what a register holds that is read before it is written

struct Token {
  std::string text;
  int line;
};

bool in_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.'; }

// Names, numbers, strings and single signs.
std::vector<Token> tokens_of(const std::vector<std::string>& lines) {
  std::vector<Token> tokens;
  for (size_t line = 0; line < lines.size(); ++line) {
    const std::string& text = lines[line];
    for (size_t end, at = 0; at < text.size() && text.compare(at, 2, "//") != 0; at = end) {
      end = at + 1;
      if (text[at] == '"') {
        end = std::min(text.find('"', at + 1), text.size() - 1) + 1;
      } else if (in_name(text[at])) {
        while (end < text.size() && in_name(text[end])) ++end;
      } else if (std::isspace(static_cast<unsigned char>(text[at]))) {
        continue;
      }
      tokens.push_back({text.substr(at, end - at), static_cast<int>(line + 1)});
    }
  }
  return tokens;
}

class Parser {
 public:
  explicit Parser(Module& module) : module_(module), tokens_(tokens_of(module.lines)) {}

  void parse() {
    while (at_ < tokens_.size()) {
      const std::string directive = take();
      if (directive == ".version" || directive == ".target" || directive == ".address_size")
        take();
      else if (directive == ".visible" || directive == ".weak")
        continue;
      else if (directive == ".entry")
        parse_entry();
      else
        fail("'" + directive + "' outside of a kernel is not known");
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const int line = tokens_[std::min(at_ == 0 ? 0 : at_ - 1, tokens_.size() - 1)].line;
    throw Fault(module_.file + ":" + std::to_string(line) + ": " + what);
  }
  const std::string& peek() const {
    if (at_ == tokens_.size()) fail("the text ends too early");
    return tokens_[at_].text;
  }
  std::string take() {
    std::string text = peek();
    ++at_;
    return text;
  }
  bool took(const char* text) {
    if (peek() != text) return false;
    ++at_;
    return true;
  }
  void expect(const char* text) {
    if (const std::string found = take(); found != text) fail("expected '" + std::string(text) + "' but found '" + found + "'");
  }

  void parse_entry() {
    entry_ = Entry();
    names_.clear();
    labels_.clear();
    branches_.clear();
    const std::string name = demangled(take());
    const std::string launched = "void run_items<";
    entry_.kernel = name.starts_with(launched) ? name.substr(launched.size(), name.rfind(">(") - launched.size()) : name;
    while (entry_.kernel.ends_with(' ')) entry_.kernel.pop_back();
    // Slot 0 is true: the guard of what has none.
    entry_.slots = {1};
    entry_.thread = names_["%tid.x"] = slot(kUnwritten);
    entry_.block = names_["%ctaid.x"] = slot(kUnwritten);
    expect("(");
    while (!took(")")) {
      parse_parameter();
      took(",");
    }
    while (took(".maxntid"))  // x, y, z
      for (int i = 0; i < 5; ++i) take();
    parse_block();
    for (const auto& [instruction, label] : branches_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) fail("no label " + label + " in " + entry_.kernel);
      entry_.code[instruction].offset = static_cast<int64_t>(found->second);
    }
    module_.entries.push_back(std::move(entry_));
  }

  void parse_parameter() {
    expect(".param");
    int64_t align = 0;
    if (took(".align")) align = std::stoll(take());
    const std::string type = take(), name = take();
    int64_t bytes = std::atoll(type.substr(2).c_str()) / 8;
    if (align == 0) align = bytes;
    if (took("[")) {
      bytes *= std::stoll(take());
      expect("]");
    }
    const int64_t first = (entry_.parameter_bytes + align - 1) / align * align;
    entry_.parameter_bytes = first + bytes;
    names_[name] = slot(kParameters + static_cast<uint64_t>(first));
  }

  uint16_t slot(uint64_t value) {
    if (entry_.slots.size() > 0xffff) fail("more registers than a slot's number can name");
    entry_.slots.push_back(value);
    return static_cast<uint16_t>(entry_.slots.size() - 1);
  }

  void parse_block() {
    expect("{");
    while (!took("}")) {
      if (peek() == "{")
        parse_block();
      else if (took(".reg"))
        parse_registers();
      else if (took(".pragma")) {
        take();
        expect(";");
      } else if (tokens_[at_ + 1].text == ":") {
        labels_[take()] = entry_.code.size();
        expect(":");
      } else {
        parse_instruction();
      }
    }
  }

  // `.reg .b32 %r<5>;` or `.reg .b32 %temp;`. What an inner block declares again is another register of the same name, and
  // neither is read after it.
  void parse_registers() {
    take();  // type
    const std::string name = take();
    if (took("<")) {
      const int count = std::stoi(take());
      expect(">");
      for (int i = 0; i < count; ++i) names_[name + std::to_string(i)] = slot(kUnwritten);
    } else {
      names_[name] = slot(kUnwritten);
    }
    expect(";");
  }

  void parse_instruction() {
    Instruction instruction = {};
    instruction.line = tokens_[at_].line;
    instruction.wanted = 1;
    if (took("@")) {
      instruction.wanted = took("!") ? 0 : 1;
      instruction.guard = named(take());
    }
    const std::string opcode = take();
    std::string shape;
    size_t count = 0;
    const auto operand = [&](uint16_t slot) {
      if (count == std::size(instruction.at)) fail("more operands than are known");
      instruction.at[count++] = slot;
    };
    while (!took(";")) {
      if (took(",")) {
        shape += ',';
      } else if (took("[")) {
        shape += "[a]";
        operand(named(take()));
        if (took("+")) instruction.offset = took("-") ? -std::stoll(take()) : std::stoll(take());
        expect("]");
      } else if (took("{")) {
        shape += '{';
        while (!took("}")) {
          if (took(",")) continue;
          shape += 'r';
          operand(value());
        }
        shape += '}';
      } else if (peek().starts_with("$")) {
        shape += 'L';
        branches_.emplace_back(entry_.code.size(), take());
      } else {
        shape += 'r';
        operand(value());
      }
    }
    const bool writes = shape.starts_with("r") || shape.starts_with("{");
    if (writes && !written_to(instruction, shape)) fail(opcode + " writes to what is no register");
    const std::string form = shape.empty() ? opcode : opcode + " " + shape;
    const auto known = known_forms().find(form);
    if (known == known_forms().end()) fail("instruction '" + form + "' is not known (in " + entry_.kernel + ")");
    instruction.run = known->second;
    auto listed = std::ranges::find(module_.forms, form);
    if (listed == module_.forms.end()) listed = module_.forms.insert(listed, form);
    instruction.form = static_cast<uint16_t>(listed - module_.forms.begin());
    entry_.code.push_back(instruction);
  }

  bool written_to(const Instruction& instruction, const std::string& shape) const {
    const size_t results = shape[0] == 'r' ? 1 : shape.find('}') - 1;
    return std::all_of(instruction.at, instruction.at + results, [&](uint16_t slot) {
      return slot > entry_.block && entry_.slots[slot] == kUnwritten;
    });
  }

  uint16_t named(const std::string& name) const {
    const auto found = names_.find(name);
    if (found == names_.end()) fail("'" + name + "' is not known");
    return found->second;
  }

  uint16_t value() {
    std::string text = take();
    if (names_.contains(text)) return names_[text];
    if (text.starts_with("0f") || text.starts_with("0d")) return slot(std::stoull(text.substr(2), nullptr, 16));
    const bool negative = text == "-";
    if (negative) text = take();
    char* end = nullptr;
    const uint64_t magnitude = std::strtoull(text.c_str(), &end, 0);
    if (!std::isdigit(static_cast<unsigned char>(text[0])) || *end != 0) fail("'" + text + "' is not known");
    return slot(negative ? -magnitude : magnitude);
  }

  Module& module_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  Entry entry_;
  std::map<std::string, uint16_t> names_;
  std::map<std::string, size_t> labels_;
  std::vector<std::pair<size_t, std::string>> branches_;
};

}  // namespace

Module parse(const std::string& file, const std::string& text) {
  Module module;
  module.file = file;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) module.lines.push_back(line);
  Parser(module).parse();
  return module;
}

std::string Module::text(const Instruction& instruction) const {
  std::string line = lines[static_cast<size_t>(instruction.line - 1)];
  std::ranges::replace(line, '\t', ' ');
  return line.substr(std::min(line.find_first_not_of(" {"), line.size()));
}

std::string demangled(const std::string& name) {
  int status = 0;
  char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  if (status != 0) return name;
  std::string result = text;
  // nvcc's names of anonymous namespaces hold a hash; the demangler writes them as the host's
  for (const std::string dropped : {"(anonymous namespace)::", "vggnet::cuda::"})
    for (size_t at = result.find(dropped); at != std::string::npos; at = result.find(dropped)) result.erase(at, dropped.size());
  std::free(text);
  return result;
}

}  // namespace ptx
