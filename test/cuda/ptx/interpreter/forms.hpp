#pragma once
// How a table of forms is made: of functions of plain values.
#include <cmath>
#include <utility>

#include "module.hpp"

namespace ptx {

using Forms = std::map<std::string, Operation>;
using std::string;

void add_integer_forms(Forms&);
void add_float_forms(Forms&);
void add_conversions(Forms&);
void add_memory_forms(Forms&);

// Results of float32 arithmetic that are NaN are the card's one NaN; those of double keep the host's.
template <class T>
T result_of(T value) { return value; }
inline float result_of(float value) { return std::isnan(value) ? __builtin_bit_cast(float, 0x7fffffffu) : value; }

template <class Function, class... Arguments>
void apply(Lane& lane, const Instruction& in) {
  [&]<size_t... i>(std::index_sequence<i...>) {
    lane.set(in.at[0], result_of(Function()(lane.get<Arguments>(in.at[i + 1])...)));
  }(std::index_sequence_for<Arguments...>{});
}

template <class Function, class R, class... Arguments>
void add_with(Forms& forms, const string& opcode, R (*)(Arguments...)) {
  string shape = " r";
  for (size_t i = 0; i < sizeof...(Arguments); ++i) shape += ",r";
  if (!forms.emplace(opcode + shape, apply<Function, Arguments...>).second) throw std::logic_error(opcode + " stands twice");
}
// The form that writes function(second operand, third, ...) to the first.
template <class Function>
void add(Forms& forms, const string& opcode, Function function) { add_with<Function>(forms, opcode, +function); }

template <class T> constexpr int kBits = 8 * int{sizeof(T)};

template <class T>
void add_comparisons(Forms& forms, const string& type) {
  add(forms, "setp.eq." + type, [](T a, T b) { return a == b; });
  add(forms, "setp.ne." + type, [](T a, T b) { return a < b || b < a; });
  add(forms, "setp.lt." + type, [](T a, T b) { return a < b; });
  add(forms, "setp.le." + type, [](T a, T b) { return a <= b; });
  add(forms, "setp.gt." + type, [](T a, T b) { return a > b; });
  add(forms, "setp.ge." + type, [](T a, T b) { return a >= b; });
}

}  // namespace ptx
