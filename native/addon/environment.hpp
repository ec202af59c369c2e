#pragma once
// What the addon keeps for one JavaScript environment, and the conversion of errors to JavaScript.
#include <napi.h>

#include <exception>
#include <string>
#include <string_view>

#include "tensor/error.hpp"

namespace vggnet::addon {

struct Environment {
  Napi::FunctionReference error_class;    // VggError(code, message)
  Napi::FunctionReference network_class;
};

// A VggError; a plain Error with a `code` before setErrorClass was called. Allocates nothing but in JavaScript.
Napi::Value make_error(Napi::Env, const char* code, std::string_view message);

// Why a call failed, on whatever thread; to be told later.
struct Failure {
  const char* code = kInternal;  // a string literal
  std::string text;

  std::string_view message() const { return text.empty() ? "the process has no memory left for this call" : text; }
};

// Without memory for the message, that is the failure. Never throws.
Failure failure_of(const std::exception&) noexcept;

// Runs `body` and turns what it throws into a thrown VggError.
template <class Body>
Napi::Value guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    throw Napi::Error(env, make_error(env, failure.code, failure.message()));
  }
}

}  // namespace vggnet::addon
