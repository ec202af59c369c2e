// A stand-in for libcuda.so.1: a driver of CUDA 13.0 with one card, for the product's loader to ask.
#include <stdlib.h>

enum { kNoDevice = 100 };

static int sees_card(void) {
  const char* visible = getenv("CUDA_VISIBLE_DEVICES");
  return !visible || *visible;
}

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}

int cuInit(unsigned flags) {
  (void)flags;
  return sees_card() ? 0 : kNoDevice;
}

int cuDeviceGetCount(int* count) {
  *count = sees_card();
  return 0;
}

int cuGetErrorName(int error, const char** name) {
  *name = error == kNoDevice ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN";
  return 0;
}
