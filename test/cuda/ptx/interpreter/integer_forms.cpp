#include "forms.hpp"

namespace ptx {
namespace {

template <class T> using Twice = std::conditional_t<
    sizeof(T) == 8, std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>>>;
template <class T> using Unsigned = std::make_unsigned_t<T>;

template <class T>
T divided(T a, T b) {
  if (b == 0) throw Fault("division of an integer by zero");
  return b == static_cast<T>(-1) && std::is_signed_v<T> ? static_cast<T>(-static_cast<Unsigned<T>>(a)) : static_cast<T>(a / b);
}

template <class T>
void add_integers(Forms& forms, const string& type) {
  using U = Unsigned<T>;
  add_comparisons<T>(forms, type);
  add(forms, "add." + type, [](T a, T b) { return static_cast<T>(U(a) + U(b)); });
  add(forms, "sub." + type, [](T a, T b) { return static_cast<T>(U(a) - U(b)); });
  add(forms, "mul.lo." + type, [](T a, T b) { return static_cast<T>(Twice<U>{U(a)} * U(b)); });
  add(forms, "mul.hi." + type, [](T a, T b) { return static_cast<T>(Twice<T>{a} * b >> kBits<T>); });
  add(forms, "mad.lo." + type, [](T a, T b, T c) { return static_cast<T>(Twice<U>{U(a)} * U(b) + U(c)); });
  if constexpr (sizeof(T) < 8) add(forms, "mul.wide." + type, [](T a, T b) { return static_cast<Twice<T>>(Twice<T>{a} * b); });
  add(forms, "div." + type, [](T a, T b) { return divided(a, b); });
  add(forms, "rem." + type, [](T a, T b) { return static_cast<T>(U(a) - U(b) * U(divided(a, b))); });
  add(forms, "min." + type, [](T a, T b) { return a < b ? a : b; });
  add(forms, "max." + type, [](T a, T b) { return a > b ? a : b; });
  // Shifts by more than the width are as shifts by the width.
  add(forms, "shr." + type, [](T a, uint32_t by) {
    return by < kBits<T> ? static_cast<T>(a >> by) : static_cast<T>(a < 0 ? -1 : 0);
  });
  if constexpr (std::is_signed_v<T>) add(forms, "neg." + type, [](T a) { return static_cast<T>(-U(a)); });
}

template <class T>
void add_bits(Forms& forms, const string& type) {
  add(forms, "setp.eq." + type, [](T a, T b) { return a == b; });
  add(forms, "setp.ne." + type, [](T a, T b) { return a != b; });
  add(forms, "and." + type, [](T a, T b) { return static_cast<T>(a & b); });
  add(forms, "or." + type, [](T a, T b) { return static_cast<T>(a | b); });
  add(forms, "xor." + type, [](T a, T b) { return static_cast<T>(a ^ b); });
  add(forms, "not." + type, [](T a) { return static_cast<T>(~a); });
  add(forms, "shl." + type, [](T a, uint32_t by) { return by < kBits<T> ? static_cast<T>(a << by) : T{0}; });
  // The low `length` bits of a replace those of b from `start` on; what reaches beyond the width is left out.
  if constexpr (sizeof(T) >= 4) {
    add(forms, "bfi." + type, [](T a, T b, uint32_t start, uint32_t length) {
      start &= 255;
      length &= 255;
      if (start >= kBits<T>) return b;
      const T mask = (length < kBits<T> ? (T{1} << length) - 1 : ~T{0}) << start;
      return static_cast<T>((b & ~mask) | (a << start & mask));
    });
  }
}

// Of any type of this width.
template <class T>
void add_moves(Forms& forms, std::initializer_list<const char*> types) {
  for (const string type : types) {
    add(forms, "mov." + type, [](T a) { return a; });
    add(forms, "selp." + type, [](T a, T b, bool p) { return p ? a : b; });
  }
}

// The first half of a vector lies in the low bits.
template <class Half, class Whole>
void add_packing(Forms& forms, const string& type) {
  forms["mov." + type + " r,{rr}"] = [](Lane& lane, const Instruction& in) {
    const Whole low = lane.get<Half>(in.at[1]), high = lane.get<Half>(in.at[2]);
    lane.set(in.at[0], static_cast<Whole>(low | high << kBits<Half>));
  };
  forms["mov." + type + " {rr},r"] = [](Lane& lane, const Instruction& in) {
    const Whole whole = lane.get<Whole>(in.at[2]);
    lane.set(in.at[0], static_cast<Half>(whole));
    lane.set(in.at[1], static_cast<Half>(whole >> kBits<Half>));
  };
}

}  // namespace

void add_integer_forms(Forms& forms) {
  add_integers<int16_t>(forms, "s16");
  add_integers<uint16_t>(forms, "u16");
  add_integers<int32_t>(forms, "s32");
  add_integers<uint32_t>(forms, "u32");
  add_integers<int64_t>(forms, "s64");
  add_integers<uint64_t>(forms, "u64");
  add_bits<uint16_t>(forms, "b16");
  add_bits<uint32_t>(forms, "b32");
  add_bits<uint64_t>(forms, "b64");
  add_moves<uint16_t>(forms, {"b16", "u16", "s16"});
  add_moves<uint32_t>(forms, {"b32", "u32", "s32", "f32"});
  add_moves<uint64_t>(forms, {"b64", "u64", "s64", "f64"});
  add_packing<uint16_t, uint32_t>(forms, "b32");
  add_packing<uint32_t, uint64_t>(forms, "b64");
  add(forms, "and.pred", [](bool a, bool b) { return a && b; });
  add(forms, "or.pred", [](bool a, bool b) { return a || b; });
  add(forms, "xor.pred", [](bool a, bool b) { return a != b; });
  add(forms, "not.pred", [](bool a) { return !a; });
  add(forms, "mov.pred", [](bool a) { return a; });
}

}  // namespace ptx
