// Preloaded, it makes an allocation of our addon, or of a library that the addon calls, fail: the n-th, as `Control` says.
// Those of Node and V8 succeed: they abort the process without memory.
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unwind.h>

#include "control.hpp"

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

// as `kinds` of faulty.ts
enum Kind { kAllocate, kMap };

enum class Owner { other, ours, runtime };

struct Module {
  uintptr_t begin, end;
  Owner owner;
};

constexpr int kMostModules = 32;
Module modules[kMostModules];
std::atomic<int> module_count{0};
thread_local bool inside __attribute__((tls_model("initial-exec"))) = false;

Owner owner_of(const char* path) {
  const char* name = strrchr(path, '/') == nullptr ? path : strrchr(path, '/') + 1;
  for (const char* own : {"vggnet", "libdnnl", "libturbojpeg"})
    if (strncmp(name, own, strlen(own)) == 0) return Owner::ours;
  for (const char* runtime : {"libstdc++", "libgcc_s", "libc.so", "libc-", "allocations.so"})
    if (strncmp(name, runtime, strlen(runtime)) == 0) return Owner::runtime;
  return Owner::other;
}

int add_module(dl_phdr_info* info, size_t, void* count) {
  const Owner owner = owner_of(info->dlpi_name);
  int& used = *static_cast<int*>(count);
  for (int i = 0; owner != Owner::other && i < info->dlpi_phnum && used < kMostModules; ++i) {
    const auto& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
    const uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    modules[used++] = {begin, begin + part.p_memsz, owner};
  }
  return 0;
}

Owner owner_at(uintptr_t address) {
  const int count = module_count.load();
  for (int i = 0; i < count; ++i)
    if (address >= modules[i].begin && address < modules[i].end) return modules[i].owner;
  return Owner::other;
}

_Unwind_Reason_Code find_owner(_Unwind_Context* context, void* found) {
  Owner& owner = *static_cast<Owner*>(found);
  owner = owner_at(_Unwind_GetIP(context) - 1);
  return owner == Owner::runtime ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// `caller`: the return address of the allocation. Behind the runtime of C++ is who has called it.
bool is_ours(void* caller) {
  Owner owner = owner_at(reinterpret_cast<uintptr_t>(caller) - 1);
  if (owner == Owner::runtime) _Unwind_Backtrace(find_owner, &owner);
  return owner == Owner::ours;
}

bool refused(Kind kind, void* caller) {
  if (inside) return false;
  inside = true;
  Control* shared = control();
  bool result = false;
  // the addon is loaded before the first fault is armed
  if (shared != nullptr && shared->kind != kIdle) {
    if (module_count == 0) {
      int count = 0;
      dl_iterate_phdr(add_module, &count);
      module_count = count;
    }
    result = is_ours(caller) && fails(*shared, kind);
  }
  inside = false;
  if (result) errno = ENOMEM;
  return result;
}

}  // namespace

#define REFUSED(kind) refused(kind, __builtin_return_address(0))

extern "C" {

void* malloc(size_t bytes) { return REFUSED(kAllocate) ? nullptr : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return REFUSED(kAllocate) ? nullptr : __libc_calloc(count, bytes); }
void* realloc(void* old, size_t bytes) { return REFUSED(kAllocate) ? nullptr : __libc_realloc(old, bytes); }
void* memalign(size_t alignment, size_t bytes) { return REFUSED(kAllocate) ? nullptr : __libc_memalign(alignment, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return REFUSED(kAllocate) ? nullptr : __libc_memalign(alignment, bytes); }

int posix_memalign(void** result, size_t alignment, size_t bytes) {
  if (REFUSED(kAllocate)) return ENOMEM;
  *result = __libc_memalign(alignment, bytes);
  return *result == nullptr ? ENOMEM : 0;
}

static void* (*real_mmap)(void*, size_t, int, int, int, off_t) = nullptr;
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t from) {
  return REFUSED(kMap) ? MAP_FAILED : next(real_mmap, "mmap")(at, bytes, protection, flags, file, from);
}

}  // extern "C"
