// A stand-in for libcuda.so.1: a driver of CUDA 13.0 with cards for the product's loader to ask.
#include <stdlib.h>

enum { kNoDevice = 100 };

static int cards(void) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES"), *count = getenv("VGGNET_STAND_IN_CARDS");
  if (visible && !*visible) return 0;
  return count ? atoi(count) : 1;
}

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}

int cuInit(unsigned flags) {
  (void)flags;
  return cards() > 0 ? 0 : kNoDevice;
}

int cuDeviceGetCount(int* count) {
  *count = cards();
  return 0;
}

int cuGetErrorName(int error, const char** name) {
  *name = error == kNoDevice ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN";
  return 0;
}
