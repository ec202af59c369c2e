#pragma once
// Found before native/backend/cuda/kernels/launch.hpp: a launch runs the kernel's PTX as well, and compares.
#include <type_traits>
#include <typeinfo>

#include "backend/cuda/device.hpp"
#include "interpreter/check.hpp"
#include "tensor/random.hpp"

#define launch launch_in_a_loop
#include_next "backend/cuda/kernels/launch.hpp"
#undef launch

struct CUstream_st : ptx::Card {};

namespace vggnet::cuda {

template <class Kernel>
void launch(Stream stream, int64_t items, const Kernel& kernel) {
  static_assert(std::is_trivially_copyable_v<Kernel>, "what a card is given is copied as bytes");
  if (items == 0) return;
  Kernel copy = kernel;
  __builtin_clear_padding(&copy);
  const auto* first = reinterpret_cast<const std::byte*>(&copy);
  std::vector<std::byte> parameters(first, first + sizeof copy);
  parameters.resize(round_up(parameters.size(), alignof(int64_t)));
  const auto* count = reinterpret_cast<const std::byte*>(&items);
  parameters.insert(parameters.end(), count, count + sizeof items);
  stream->checker.launch(stream->memory, {ptx::demangled(typeid(Kernel).name()), parameters, items,
                                          [&] { launch_in_a_loop(stream, items, kernel); }});
}

}  // namespace vggnet::cuda
