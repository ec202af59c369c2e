// cuDNN's frontend can start kernels of its own, for a layer that is not ours.
#define VGGNET_ABSENT(name) \
  extern "C" int name() { return 801; }  // cudaErrorNotSupported

VGGNET_ABSENT(cudaLibraryLoadData)
VGGNET_ABSENT(cudaLibraryUnload)
VGGNET_ABSENT(cudaLibraryGetKernel)
VGGNET_ABSENT(cudaKernelSetAttributeForDevice)
VGGNET_ABSENT(cudaLaunchKernel)
VGGNET_ABSENT(cudaGetDriverEntryPointByVersion)
