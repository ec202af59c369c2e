#pragma once
// PTX as nvcc writes it for kernels without shared memory and barriers: parsed at once into instructions over numbered slots.
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace ptx {

class Memory;

// What is wrong with a text, or with what a kernel does.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One thread of a launch. A slot is a register, an immediate value, a special register or an address of a parameter.
struct Lane {
  uint64_t* slots;
  Memory& memory;
  const std::vector<std::byte>& parameters;
  int64_t item;
  size_t next;  // instruction

  template <class T>
  T get(uint16_t slot) const {
    if constexpr (std::is_same_v<T, bool>) return slots[slot] & 1;
    T value;
    std::memcpy(&value, &slots[slot], sizeof value);
    return value;
  }
  // Sign and zeros extend to the slot: a register may be wider than what is written to it.
  template <class T>
  void set(uint16_t slot, T value) {
    if constexpr (std::is_integral_v<T>) {
      slots[slot] = static_cast<uint64_t>(static_cast<int64_t>(value));
      if constexpr (std::is_unsigned_v<T>) slots[slot] = value;
    } else {
      slots[slot] = 0;
      std::memcpy(&slots[slot], &value, sizeof value);
    }
  }
};

struct Instruction {
  void (*run)(Lane&, const Instruction&);
  uint16_t at[6];        // slots of the operands, from left to right
  uint16_t guard;        // runs where this slot holds `wanted`
  uint16_t wanted;
  int64_t offset;        // added to the address, or the instruction that a branch goes to
  int line;
  uint16_t form;         // in Module::forms
};

// Addresses in parameter space are this and more. No buffer lies there.
inline constexpr uint64_t kParameters = uint64_t{1} << 62;

struct Entry {
  std::string kernel;    // K of run_items<K>, else the function's name; demangled
  int64_t parameter_bytes = 0;
  std::vector<uint64_t> slots;      // at the start of a thread
  uint16_t thread = 0, block = 0;   // slots of %tid.x and %ctaid.x
  std::vector<Instruction> code;
};

struct Module {
  std::string file;
  std::vector<std::string> lines, forms;
  std::vector<Entry> entries;

  std::string text(const Instruction&) const;
};

// Throws Fault with file and line where anything is not known, whether it is ever reached or not.
Module parse(const std::string& file, const std::string& text);

// The function of every form that is known: "fma.rn.f32 r,r,r,r", "ld.global.v2.f32 {rr},[a]".
using Operation = void (*)(Lane&, const Instruction&);
const std::map<std::string, Operation>& known_forms();

// The text of a C++ type or function, without the product's namespaces.
std::string demangled(const std::string& name);

}  // namespace ptx
