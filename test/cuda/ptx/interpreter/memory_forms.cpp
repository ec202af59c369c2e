#include "forms.hpp"
#include "memory.hpp"

namespace ptx {
namespace {

void read_parameter(const Lane& lane, uint64_t address, size_t bytes, void* to) {
  const uint64_t first = address - kParameters;
  if (address < kParameters || first + bytes > lane.parameters.size()) throw Fault("read outside of the kernel's parameters");
  if (first % bytes != 0) throw Fault("misaligned read of the kernel's parameters");
  std::memcpy(to, &lane.parameters[first], bytes);
}

template <class T, int kCount, bool kGlobal>
void load(Lane& lane, const Instruction& in) {
  const uint64_t address = lane.get<uint64_t>(in.at[kCount]) + static_cast<uint64_t>(in.offset);
  T values[kCount];
  if constexpr (kGlobal)
    lane.memory.read(address, sizeof values, static_cast<int32_t>(lane.item), values);
  else
    read_parameter(lane, address, sizeof values, values);
  for (int i = 0; i < kCount; ++i) lane.set(in.at[i], values[i]);
}

template <class T, int kCount>
void store(Lane& lane, const Instruction& in) {
  const uint64_t address = lane.get<uint64_t>(in.at[0]) + static_cast<uint64_t>(in.offset);
  T values[kCount];
  for (int i = 0; i < kCount; ++i) values[i] = lane.get<T>(in.at[i + 1]);
  lane.memory.write(address, sizeof values, static_cast<int32_t>(lane.item), values);
}

template <class T, int kCount>
void add_accesses(Forms& forms, const string& type) {
  const string vector = kCount == 1 ? "." : ".v" + std::to_string(kCount) + ".",
               registers = kCount == 1 ? "r" : "{" + string(kCount, 'r') + "}";
  forms["ld.global" + vector + type + " " + registers + ",[a]"] = load<T, kCount, true>;
  forms["ld.param" + vector + type + " " + registers + ",[a]"] = load<T, kCount, false>;
  forms["st.global" + vector + type + " [a]," + registers] = store<T, kCount>;
}
template <class T>
void add_memory(Forms& forms, std::initializer_list<const char*> types) {
  for (const char* type : types) {
    add_accesses<T, 1>(forms, type);
    add_accesses<T, 2>(forms, type);
    if constexpr (sizeof(T) <= 4) add_accesses<T, 4>(forms, type);
  }
}

}  // namespace

void add_memory_forms(Forms& forms) {
  add_memory<uint8_t>(forms, {"u8", "b8"});
  add_memory<int8_t>(forms, {"s8"});
  add_memory<uint16_t>(forms, {"u16", "b16"});
  add_memory<int16_t>(forms, {"s16"});
  add_memory<uint32_t>(forms, {"u32", "b32", "f32"});
  add_memory<int32_t>(forms, {"s32"});
  add_memory<uint64_t>(forms, {"u64", "b64", "f64", "s64"});
  // Global memory has the same addresses in the generic space.
  add(forms, "cvta.to.global.u64", [](uint64_t a) { return a; });

}

}  // namespace ptx
