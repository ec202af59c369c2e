#pragma once
#include <exception>
#include <optional>
#include <type_traits>
#include <variant>

#include "addon/environment.hpp"

namespace vggnet::addon {

// What a call is to compute, and what it came to on the worker's thread.
template <class Compute>
struct Computation {
  using Answer = std::invoke_result_t<Compute&>;

  std::optional<Compute> compute;
  std::variant<Failure, Answer> outcome;

  void run() {
    try {
      outcome = (*compute)();
    } catch (const std::exception& error) {
      outcome = failure_of(error);
    }
    compute.reset();  // what it was given goes back to its pool
  }
};

}  // namespace vggnet::addon
