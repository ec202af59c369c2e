// A stand-in for NVIDIA's driver: answers three questions, and computes nothing.
int cuDriverGetVersion(int* version) { return *version = VERSION, 0; }
int cuInit(unsigned flags) { return flags + STATUS; }
int cuDeviceGetCount(int* count) { return *count = CARDS, 0; }
int cuGetErrorName(int status, const char** name) { return *name = "CUDA_ERROR_OF_THE_STAND_IN", status - status; }
