#pragma once
// The one engine, a stream for each thread that computes, and oneDNN's errors as ours.
#include <oneapi/dnnl/dnnl_debug.h>

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "backend/cpu/blocked.hpp"
#include "tensor/error.hpp"

namespace vggnet::cpu {

dnnl::engine& engine();
dnnl::stream& stream();  // of the calling thread

// Runs a call of oneDNN; where that throws, throws Error with the name of the call and oneDNN's message.
template <class Call>
decltype(auto) checked(const char* name, Call&& call) {
  try {
    return call();
  } catch (const dnnl::error& e) {
    throw Error(e.status == dnnl_out_of_memory ? kOutOfMemory : kInternal,
                std::string("oneDNN ") + name + ": " + e.what() + " (" + dnnl_status2str(e.status) + ")");
  }
}

// Blocked [n][c / b][h][w][b]; channels are the padded count.
dnnl::memory::desc blocked_images(int64_t n, int64_t channels, int64_t h, int64_t w);
dnnl::memory::desc plain_images(int64_t n, int64_t channels, int64_t h, int64_t w);
dnnl::memory::desc floats_desc(int64_t count);
dnnl::memory::desc bytes_desc(int64_t bytes);

// Memory that belongs to somebody else. oneDNN takes no pointers to const; inputs are not written.
dnnl::memory view(const dnnl::memory::desc&, const void* data);

}  // namespace vggnet::cpu
