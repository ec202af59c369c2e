// What each form of an instruction does, as NVIDIA's PTX ISA says.
#include "forms.hpp"

#include <limits>

namespace ptx {
namespace {

constexpr size_t kEnd = std::numeric_limits<size_t>::max();

void add_branches(Forms& forms) {
  for (const char* branch : {"bra L", "bra.uni L"})
    forms[branch] = [](Lane& lane, const Instruction& in) { lane.next = static_cast<size_t>(in.offset); };
  forms["ret"] = [](Lane& lane, const Instruction&) { lane.next = kEnd; };
}

Forms all_forms() {
  Forms forms;
  for (const auto add_some : {add_integer_forms, add_float_forms, add_conversions, add_memory_forms, add_branches})
    add_some(forms);
  return forms;
}

}  // namespace

const Forms& known_forms() {
  static const Forms forms = all_forms();
  return forms;
}

}  // namespace ptx
