#include "forms.hpp"

namespace ptx {
namespace {

template <class To, class From>
void add_integer_conversion(Forms& forms, const string& to, const string& from) {
  add(forms, "cvt." + to + "." + from, [](From a) { return static_cast<To>(a); });
}
template <class From>
void add_integer_conversions(Forms& forms, const string& from) {
  add_integer_conversion<uint16_t, From>(forms, "u16", from);
  add_integer_conversion<uint32_t, From>(forms, "u32", from);
  add_integer_conversion<uint64_t, From>(forms, "u64", from);
  add_integer_conversion<int16_t, From>(forms, "s16", from);
  add_integer_conversion<int32_t, From>(forms, "s32", from);
  add_integer_conversion<int64_t, From>(forms, "s64", from);
  add(forms, "cvt.rn.f32." + from, [](From a) { return static_cast<float>(a); });
  add(forms, "cvt.rn.f64." + from, [](From a) { return static_cast<double>(a); });
}

// Rounded to nearest, ties to even.
uint16_t bfloat16_of(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  return std::isnan(x) ? 0x7fff : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

void add_conversions(Forms& forms) {
  add_integer_conversions<uint8_t>(forms, "u8");
  add_integer_conversions<uint16_t>(forms, "u16");
  add_integer_conversions<uint32_t>(forms, "u32");
  add_integer_conversions<uint64_t>(forms, "u64");
  add_integer_conversions<int8_t>(forms, "s8");
  add_integer_conversions<int16_t>(forms, "s16");
  add_integer_conversions<int32_t>(forms, "s32");
  add_integer_conversions<int64_t>(forms, "s64");
  add(forms, "cvt.f64.f32", [](float a) { return static_cast<double>(a); });
  add(forms, "cvt.rn.f32.f64", [](double a) { return static_cast<float>(a); });
  add(forms, "cvt.rn.bf16x2.f32", [](float high, float low) {
    return static_cast<uint32_t>(bfloat16_of(high) << 16 | bfloat16_of(low));
  });
}

}  // namespace ptx
