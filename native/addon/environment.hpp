#pragma once
// What the addon keeps for one JavaScript environment, and the conversion of errors to JavaScript.
#include <napi.h>

#include <string>

#include "tensor/error.hpp"

namespace vggnet::addon {

struct Environment {
  Napi::FunctionReference error_class;    // VggError(code, message)
  Napi::FunctionReference network_class;
};

// A VggError; a plain Error with a `code` before setErrorClass was called.
Napi::Value make_error(Napi::Env, const std::string& code, const std::string& message);

// Runs `body` and turns what it throws into a thrown VggError.
template <class Body>
Napi::Value guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Napi::Error(env, make_error(env, error.code(), error.what()));
  } catch (const std::bad_alloc&) {
    throw Napi::Error(env, make_error(env, kOutOfMemory, "the process has no memory left for this call"));
  }
}

}  // namespace vggnet::addon
