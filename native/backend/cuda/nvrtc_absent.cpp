// cuDNN's frontend can compile its kernels by NVRTC, for a layer that is not ours. These stand in for the
// functions it then calls, so that the library needs no NVRTC; hidden, because cuDNN itself loads the real ones.
#define VGGNET_ABSENT(name) \
  extern "C" __attribute__((visibility("hidden"))) int name() { return 11; }  // NVRTC_ERROR_INTERNAL_ERROR

VGGNET_ABSENT(nvrtcCreateProgram)
VGGNET_ABSENT(nvrtcCompileProgram)
VGGNET_ABSENT(nvrtcDestroyProgram)
VGGNET_ABSENT(nvrtcGetProgramLogSize)
VGGNET_ABSENT(nvrtcGetProgramLog)
VGGNET_ABSENT(nvrtcGetCUBINSize)
VGGNET_ABSENT(nvrtcGetCUBIN)
