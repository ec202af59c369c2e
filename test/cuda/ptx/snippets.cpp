// snippets: instructions with known results, written by hand.
#include <cstdio>
#include <cstring>

#include "interpreter/run.hpp"

namespace {

constexpr uint64_t kOne = 0x3f800000, kNan = 0x7fc00000, kInfinity = 0x7f800000;  // float32

// %a1, %a2, ... hold `operands`; what is in %a0 at the end is the result. Registers have no type in the interpreter.
struct Snippet {
  const char* text;
  std::vector<uint64_t> operands;
  uint64_t result;
};
const Snippet kSnippets[] = {
    // carries, halves of products, widths
    {"add.s32 %a0, %a1, %a2;", {0xffffffff, 2}, 1},
    {"add.s64 %a0, %a1, %a2;", {0xffffffff, 1}, 0x100000000},
    {"sub.s32 %a0, %a1, 1;", {0}, 0xffffffffffffffff},  // as signed, in a wider register
    {"sub.u32 %a0, %a1, 1;", {0}, 0xffffffff},
    {"mul.lo.s32 %a0, %a1, %a2;", {0x80000001, 2}, 2},
    {"mul.hi.u64 %a0, %a1, %a2;", {0xffffffffffffffff, 0xffffffffffffffff}, 0xfffffffffffffffe},
    {"mul.hi.s64 %a0, %a1, %a2;", {0xffffffffffffffff, 5}, 0xffffffffffffffff},
    {"mul.wide.u32 %a0, %a1, %a2;", {0xffffffff, 0xffffffff}, 0xfffffffe00000001},
    {"mul.wide.s32 %a0, %a1, %a2;", {0xffffffff, 3}, 0xfffffffffffffffd},
    {"mad.lo.u32 %a0, %a1, %a2, %a3;", {0x10000, 0x10000, 7}, 7},
    {"rem.s64 %a0, %a1, %a2;", {static_cast<uint64_t>(-7), 3}, static_cast<uint64_t>(-1)},
    {"div.u32 %a0, %a1, %a2;", {0xffffffff, 10}, 429496729},
    // bits; shifts beyond the width
    {"bfi.b64 %a0, %a1, %a2, 32, 32;", {0xdead1234, 0x5678}, 0xdead123400005678},
    {"bfi.b32 %a0, %a1, %a2, 28, 8;", {0xff, 0x01234567}, 0xf1234567},
    {"bfi.b32 %a0, %a1, %a2, 32, 4;", {0xf, 0x01234567}, 0x01234567},
    {"shl.b32 %a0, %a1, %a2;", {1, 32}, 0},
    {"shl.b64 %a0, %a1, %a2;", {1, 63}, 0x8000000000000000},
    {"shr.u32 %a0, %a1, %a2;", {0x80000000, 40}, 0},
    {"shr.s32 %a0, %a1, %a2;", {0x80000000, 40}, 0xffffffffffffffff},
    {"shr.s64 %a0, %a1, 4;", {0x8000000000000000}, 0xf800000000000000},
    {"not.b64 %a0, %a1;", {0xff}, 0xffffffffffffff00},
    {"mov.b64 %a0, {%a1, %a2};", {0x11111111, 0x22222222}, 0x2222222211111111},
    {"{ .reg .b32 %temp; mov.b64 {%temp, %a0}, %a1; }", {0x2222222211111111}, 0x22222222},
    {"mov.b32 %a0, {%a1, %a2};", {0x1111, 0x2222}, 0x22221111},
    {"max.s64 %a0, %a1, %a2;", {0xffffffffffffffff, 3}, 3},
    {"mov.u64 %a0, 0xfffffffffffffff0;", {}, 0xfffffffffffffff0},
    {"mov.u32 %a0, -2;", {}, 0xfffffffe},
    // float32: one rounding, NaN, signs of zero, subnormal numbers
    {"fma.rn.f32 %a0, %a1, %a2, %a3;", {0x3f800001, 0x3f800001, 0xbf800002}, 0x28800000},
    {"mul.f32 %a0, %a1, %a2;", {0x00800000, 0x3f000000}, 0x00400000},
    {"add.f32 %a0, %a1, %a2;", {kInfinity, 0xff800000}, 0x7fffffff},
    {"add.f32 %a0, %a1, %a2;", {kOne, 0x33800000}, kOne},  // half a unit: to even
    {"add.f32 %a0, %a1, %a2;", {0x3f800001, 0x33800000}, 0x3f800002},
    {"div.rn.f32 %a0, %a1, %a2;", {kOne, 0x40400000}, 0x3eaaaaab},
    {"neg.f32 %a0, %a1;", {kNan}, 0xffc00000},
    {"abs.f32 %a0, %a1;", {0x80000000}, 0},
    {"min.f32 %a0, %a1, %a2;", {kNan, kOne}, kOne},
    {"min.f32 %a0, %a1, %a2;", {0, 0x80000000}, 0x80000000},
    {"max.f32 %a0, %a1, %a2;", {0x80000000, 0}, 0},
    {"ex2.approx.f32 %a0, %a1;", {0xc0000000}, 0x3e800000},
    {"ex2.approx.f32 %a0, %a1;", {0xff800000}, 0},
    {"ex2.approx.f32 %a0, %a1;", {0xc3020000}, 0x00080000},  // 2^-130
    {"ex2.approx.ftz.f32 %a0, %a1;", {0xc3020000}, 0},
    {"fma.rm.f32 %a0, %a1, %a2, %a3;", {0x3f800001, 0x3f800001, 0}, 0x3f800002},
    {"fma.rm.f32 %a0, %a1, %a2, %a3;", {0x3f800001, 0xbf800001, 0}, 0xbf800003},
    {"fma.rm.f32 %a0, %a1, %a2, %a3;", {kOne, kOne, 0xa0000000}, 0x3f7fffff},
    {"fma.rm.f32 %a0, %a1, %a2, %a3;", {kOne, kOne, 0xbf800000}, 0x80000000},
    {"fma.rm.f32 %a0, %a1, %a2, %a3;", {0x7f7fffff, 0x40000000, 0}, 0x7f7fffff},
    {"cvt.sat.f32.f32 %a0, %a1;", {0x40000000}, kOne},
    {"cvt.sat.f32.f32 %a0, %a1;", {0xbf800000}, 0},
    {"cvt.sat.f32.f32 %a0, %a1;", {kNan}, 0},
    // comparisons: ordered ones are false for NaN, the others true
    {"setp.ne.f32 %a0, %a1, %a2;", {kNan, kOne}, 0},
    {"setp.neu.f32 %a0, %a1, %a2;", {kNan, kOne}, 1},
    {"setp.equ.f32 %a0, %a1, %a2;", {kNan, kNan}, 1},
    {"setp.eq.f32 %a0, %a1, %a2;", {0, 0x80000000}, 1},
    {"setp.lt.f32 %a0, %a1, %a2;", {kNan, kOne}, 0},
    {"setp.geu.f32 %a0, %a1, %a2;", {kOne, kNan}, 1},
    {"setp.geu.f32 %a0, %a1, %a2;", {kOne, 0x40000000}, 0},
    {"setp.nan.f32 %a0, %a1, %a2;", {kOne, kNan}, 1},
    {"setp.num.f32 %a0, %a1, %a2;", {kOne, kNan}, 0},
    {"setp.lt.s32 %a0, %a1, %a2;", {0xffffffff, 0}, 1},
    {"setp.lt.u32 %a0, %a1, %a2;", {0xffffffff, 0}, 0},
    {"selp.b32 %a0, %a1, %a2, %a3;", {5, 6, 0}, 6},
    // conversions
    {"cvt.rn.bf16x2.f32 %a0, %a1, %a2;", {0x3f808000, 0x3f818000}, 0x3f803f82},  // ties to even; the first is the upper
    {"cvt.rn.bf16x2.f32 %a0, %a1, %a2;", {0x7f800001, 0x7f7fffff}, 0x7fff7f80},
    {"cvt.rn.f32.s64 %a0, %a1;", {0x1000001}, 0x4b800000},
    {"cvt.rn.f32.u16 %a0, %a1;", {0xffff}, 0x477fff00},
    {"cvt.rn.f32.f64 %a0, %a1;", {0x3ff0000010000001}, 0x3f800001},
    {"cvt.f64.f32 %a0, %a1;", {0x00000001}, 0x36a0000000000000},
    {"cvt.s64.s32 %a0, %a1;", {0x80000000}, 0xffffffff80000000},
    {"cvt.u64.u32 %a0, %a1;", {0x1ffffffff}, 0xffffffff},
    // double
    {"rcp.approx.ftz.f64 %a0, %a1;", {0x4008000000000000}, 0x3fd5555500000000},
    {"rcp.approx.ftz.f64 %a0, %a1;", {0x000fffffffffffff}, 0x7ff0000000000000},
    {"fma.rn.f64 %a0, %a1, %a2, %a3;", {0x3ff0000000000001, 0x3ff0000000000001, 0xbff0000000000002}, 0x3970000000000000},
    // the sum of 1 to 10: branches, guards
    {"mov.u32 %a0, 0; $L1: add.s32 %a0, %a0, %a1; sub.s32 %a1, %a1, 1; setp.gt.s32 %a2, %a1, 0; @%a2 bra $L1;", {10, 0}, 55},
    {"mov.u32 %a0, 3; @!%a1 mov.u32 %a0, 4; @%a1 bra.uni $L1; ret; $L1: mov.u32 %a0, 5;", {1}, 5},
};

struct Refused {
  const char *text, *reason;
};
const Refused kRefused[] = {
    {"popc.b32 %a0, %a0;", "instruction 'popc.b32 r,r' is not known"},
    {"bra $L1; add.rz.f32 %a0, %a0, %a0; $L1:", "instruction 'add.rz.f32 r,r,r' is not known"},
    {"add.s32 %a0, %a0;", "instruction 'add.s32 r,r' is not known"},
    {"add.s32 1, %a0, %a0;", "add.s32 writes to what is no register"},
    {"add.s32 %a0, %a0, %b;", "'%b' is not known"},
    {"bra $L1;", "no label $L1"},
    {"$L1: bra $L1;", "does not end"},
    {"ld.param.u64 %a0, [out+8];", "read outside of the kernel's parameters"},
    {"ld.param.u64 %a0, [out+4];", "read outside of the kernel's parameters"},
    {"st.global.u32 [8], %a0;", "'8' is not known"},
    {"div.s32 %a0, 1, 0;", "division of an integer by zero"},
};

uint64_t result_of(const Snippet& snippet) {
  std::string text = ".entry snippet(.param .u64 out) {\n.reg .b64 %a<5>;\n.reg .b64 %out;\n";
  for (size_t i = 0; i < snippet.operands.size(); ++i)
    text += "mov.b64 %a" + std::to_string(i + 1) + ", " + std::to_string(snippet.operands[i]) + ";\n";
  text += std::string(snippet.text) + "\nld.param.u64 %out, [out];\nst.global.u64 [%out], %a0;\n}\n";
  ptx::Memory memory;
  ptx::Buffer& out = memory.add("out", ptx::Kind::bytes, false, sizeof(uint64_t));
  memory.begin_launch();
  const ptx::Module module = ptx::parse("snippet", text);
  std::vector<std::byte> parameters(sizeof out.host);
  std::memcpy(parameters.data(), &out.host, sizeof out.host);
  const ptx::Entry& entry = module.entries.at(0);
  std::vector<int64_t> times(entry.code.size());
  ptx::run(module, entry, parameters, 1, memory, times);
  uint64_t result;
  std::memcpy(&result, out.device.data(), sizeof result);
  return result;
}

std::string refusal_of(const Refused& refused) {
  try {
    result_of({refused.text, {}, 0});
  } catch (const ptx::Fault& fault) {
    return fault.what();
  }
  return "nothing";
}

}  // namespace

// Prints what is wrong, and then how many snippets are right.
int main() {
  int right = 0;
  for (const Snippet& snippet : kSnippets) {
    const uint64_t result = result_of(snippet);
    right += result == snippet.result;
    if (result != snippet.result)
      std::printf("%s gives %#llx instead of %#llx\n", snippet.text, static_cast<unsigned long long>(result),
                  static_cast<unsigned long long>(snippet.result));
  }
  for (const Refused& refused : kRefused) {
    const std::string reason = refusal_of(refused);
    const bool as_expected = reason.find(refused.reason) != std::string::npos;
    right += as_expected;
    if (!as_expected) std::printf("%s is refused with '%s' instead of '%s'\n", refused.text, reason.c_str(), refused.reason);
  }
  std::printf("%d right of %zu\n", right, std::size(kSnippets) + std::size(kRefused));
}
