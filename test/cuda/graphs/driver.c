// A stand-in for NVIDIA's driver library: there is no card and nothing can run, but cuDNN finds the library that its
// compiled engines ask for, and loads into it what it has compiled. Only for checks; never on a user's path.
// entries.h, made by build.mjs, holds ENTRY(name) for each other function that cuDNN may look up.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

enum { kSuccess = 0, kNoDevice = 100, kNotFound = 500 };

static char object[4096];  // all that the addresses of handles given out point to
static __thread char kernel[512];

const char* described_card_kernel(void) { return kernel; }  // looked up last by this thread
void described_card_forget(void) { kernel[0] = 0; }

int cuInit(unsigned flags) { return (void)flags, kNoDevice; }
int cuDriverGetVersion(int* version) { return *version = 13000, kSuccess; }
int cuGetErrorName(int error, const char** text) { return (void)error, *text = "CUDA_ERROR_NO_DEVICE", kSuccess; }
int cuGetErrorString(int error, const char** text) { return (void)error, *text = "only described", kSuccess; }
int cuGetExportTable(const void** table, const void* id) { return (void)id, *table = 0, kNotFound; }

int cuGetProcAddress_v2(const char* name, void** address, int version, unsigned long flags, int* status) {
  (void)version, (void)flags;
  void* self = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_NOW);
  *address = self ? dlsym(self, name) : 0;
  if (status) *status = *address ? 0 : 1;
  return *address ? kSuccess : kNotFound;
}
int cuGetProcAddress(const char* name, void** address, int version, unsigned long flags) {
  return cuGetProcAddress_v2(name, address, version, flags, 0);
}

static int give(void** handle) { return *handle = object, kSuccess; }
static int give_kernel(void** handle, const char* name) {
  strncpy(kernel, name, sizeof kernel - 1);
  return give(handle);
}
int cuLibraryLoadData(void** library) { return give(library); }
int cuModuleLoadData(void** module) { return give(module); }
int cuModuleLoadDataEx(void** module) { return give(module); }
int cuModuleUnload(void) { return kSuccess; }
int cuLibraryUnload(void) { return kSuccess; }
int cuModuleGetFunction(void** function, void* module, const char* name) { return (void)module, give_kernel(function, name); }
int cuLibraryGetKernel(void** function, void* library, const char* name) { return (void)library, give_kernel(function, name); }
int cuLibraryGetModule(void** module) { return give(module); }
int cuKernelGetFunction(void** function) { return give(function); }
int cuCtxGetCurrent(void** context) { return give(context); }

static int attribute(int* value, int which) {
  switch (which) {
    case 0: *value = 1024; break;              // threads of a block
    case 4: *value = 168; break;               // registers
    case 5: case 6: *value = 90; break;        // versions of code
    case 8: *value = 232448; break;            // dynamic shared memory
    default: *value = 0;
  }
  return kSuccess;
}
int cuKernelGetAttribute(int* value, int which) { return attribute(value, which); }
int cuFuncGetAttribute(int* value, int which) { return attribute(value, which); }
int cuKernelSetAttribute(void) { return kSuccess; }
int cuFuncSetAttribute(void) { return kSuccess; }
int cuKernelSetCacheConfig(void) { return kSuccess; }
int cuFuncSetCacheConfig(void) { return kSuccess; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks) { return *blocks = 1, kSuccess; }
int cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks) { return *blocks = 1, kSuccess; }
int cuOccupancyMaxActiveClusters(int* clusters) { return *clusters = 66, kSuccess; }
int cuTensorMapEncodeTiled(void) { return kSuccess; }
int cuTensorMapEncodeIm2col(void) { return kSuccess; }

int cuLibraryGetGlobal(void** address, unsigned long* bytes) {
  if (bytes) *bytes = 64;
  return give(address);
}
int cuModuleGetGlobal(void** address, unsigned long* bytes) { return cuLibraryGetGlobal(address, bytes); }
int cuModuleGetGlobal_v2(void** address, unsigned long* bytes) { return cuLibraryGetGlobal(address, bytes); }

#define ENTRY(name) \
  int name(void) { return kNoDevice; }
#include "entries.h"
