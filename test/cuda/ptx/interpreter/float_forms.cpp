#include "forms.hpp"

namespace ptx {
namespace {

// Where one is NaN, the other. -0 is smaller than 0.
template <class T>
T smaller(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? b : a;
  return a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
}
template <class T>
T larger(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? b : a;
  return a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
}

template <class T>
void add_floats(Forms& forms, const string& type) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr Bits kSign = Bits{1} << (kBits<T> - 1);
  add_comparisons<T>(forms, type);
  add(forms, "setp.equ." + type, [](T a, T b) { return a == b || std::isunordered(a, b); });
  add(forms, "setp.neu." + type, [](T a, T b) { return a != b; });
  add(forms, "setp.ltu." + type, [](T a, T b) { return !(a >= b); });
  add(forms, "setp.leu." + type, [](T a, T b) { return !(a > b); });
  add(forms, "setp.gtu." + type, [](T a, T b) { return !(a <= b); });
  add(forms, "setp.geu." + type, [](T a, T b) { return !(a < b); });
  add(forms, "setp.num." + type, [](T a, T b) { return !std::isunordered(a, b); });
  add(forms, "setp.nan." + type, [](T a, T b) { return std::isunordered(a, b); });
  for (const string rounding : {".", ".rn."}) {
    add(forms, "add" + rounding + type, [](T a, T b) { return a + b; });
    add(forms, "sub" + rounding + type, [](T a, T b) { return a - b; });
    add(forms, "mul" + rounding + type, [](T a, T b) { return a * b; });
  }
  add(forms, "div.rn." + type, [](T a, T b) { return a / b; });
  add(forms, "fma.rn." + type, [](T a, T b, T c) { return std::fma(a, b, c); });
  add(forms, "min." + type, [](T a, T b) { return smaller(a, b); });
  add(forms, "max." + type, [](T a, T b) { return larger(a, b); });
  add(forms, "neg." + type, [](Bits a) { return static_cast<Bits>(a ^ kSign); });
  add(forms, "abs." + type, [](Bits a) { return static_cast<Bits>(a & ~kSign); });
}

// Rounded towards minus infinity.
float fused_down(float a, float b, float c) {
  const float nearest = std::fma(a, b, c);
  const double product = double{a} * b, sum = product + c;  // the product is exact
  if (!std::isfinite(sum)) return nearest;
  if (sum == 0) return std::signbit(product) || std::signbit(c) ? -0.f : 0.f;
  const double added = sum - product, rest = (product - (sum - added)) + (c - added);  // sum + rest is exact
  const bool above = nearest > sum || (nearest == sum && rest < 0);
  return above ? std::nextafter(nearest, -HUGE_VALF) : nearest;
}

float without_subnormal(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.f, x) : x; }
float exp2_of(float x) { return static_cast<float>(std::exp2(static_cast<double>(x))); }

}  // namespace

void add_float_forms(Forms& forms) {
  add_floats<float>(forms, "f32");
  add_floats<double>(forms, "f64");
  // A card's result is within 2 units in the last place of 2^x; this is the nearest.
  add(forms, "ex2.approx.f32", [](float x) { return exp2_of(x); });
  add(forms, "ex2.approx.ftz.f32", [](float x) { return without_subnormal(exp2_of(without_subnormal(x))); });
  add(forms, "fma.rm.f32", [](float a, float b, float c) { return fused_down(a, b, c); });
  add(forms, "cvt.sat.f32.f32", [](float x) { return x > 0 ? std::fmin(x, 1.f) : 0.f; });  // NaN becomes 0
  // The upper half of the double nearest to 1 / x, subnormal numbers as zero; a card may differ in the last of its 20 bits.
  add(forms, "rcp.approx.ftz.f64", [](double x) {
    const uint64_t bits = __builtin_bit_cast(uint64_t, std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0., x) : x);
    const double inverse = 1 / __builtin_bit_cast(double, bits);
    const double flushed = std::fpclassify(inverse) == FP_SUBNORMAL ? std::copysign(0., inverse) : inverse;
    return __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, flushed) & 0xffffffff00000000);
  });
}

}  // namespace ptx
