#pragma once
// What the preloaded libraries share: the memory through which a test arms a fault (faulty.ts), a file of 32-bit integers that
// VGGNET_FAULTS names.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

constexpr int kKinds = 16;
constexpr int kIdle = -2;

struct Control {
  std::atomic<int32_t> kind;     // of call that fails; -1: none, and calls are counted; kIdle: nothing
  std::atomic<int32_t> left;     // calls of this kind until the one that fails
  std::atomic<int32_t> fault;    // errno, or 0 for a short read or write
  std::atomic<int32_t> lasting;  // kinds of call that fail from then on, as bits
  std::atomic<int32_t> fired;    // number of calls that have failed
  std::atomic<int32_t> calls[kKinds];
};

// Null until the library is set up, and without the variable.
inline Control* control() {
  static Control* const value = []() -> Control* {
    const char* path = getenv("VGGNET_FAULTS");
    if (path == nullptr) return nullptr;
    // past the functions of this library
    const int file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
    if (file < 0) abort();
    void* memory = reinterpret_cast<void*>(syscall(SYS_mmap, nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    syscall(SYS_close, file);
    if (memory == MAP_FAILED) abort();
    return static_cast<Control*>(memory);
  }();
  return value;
}

// Counts a call, and says whether it is to fail.
inline bool fails(Control& control, int kind) {
  control.calls[kind].fetch_add(1);
  const bool lasts = control.fired.load() > 0 && (control.lasting.load() >> kind & 1) != 0;
  if (!lasts && (control.kind.load() != kind || control.left.fetch_sub(1) != 1)) return false;
  control.fired.fetch_add(1);
  return true;
}

template <class Function>
Function next(Function& cached, const char* name) {
  if (cached == nullptr) cached = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  return cached;
}
