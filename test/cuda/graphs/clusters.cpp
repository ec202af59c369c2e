// cuDNN 9.19 does not restore one table of a card's description: how many clusters of 1, 2, ... 16 blocks can be at work
// at once. Without it there is no kernel for sm_90. Linked with --wrap, this fills the table in as on a card of 132
// multiprocessors. Where it lies, 64 bytes before the card's name, is known from reading such a description's memory.
#include <cudnn.h>

#include <cstdint>
#include <cstring>

extern "C" {

cudnnStatus_t __real_cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t*);
cudnnStatus_t __real_cudnnBackendFinalize(cudnnBackendDescriptor_t);

static cudnnBackendDescriptor_t described;  // the description of a card that is being made

cudnnStatus_t __wrap_cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* made) {
  const cudnnStatus_t status = __real_cudnnBackendCreateDescriptor(type, made);
  if (type == CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) described = *made;
  return status;
}

cudnnStatus_t __wrap_cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  const cudnnStatus_t status = __real_cudnnBackendFinalize(descriptor);
  if (!descriptor || descriptor != described) return status;
  described = nullptr;
  constexpr int kMultiprocessors[] = {16, 16, 16, 16, 16, 16, 18, 18};  // of each cluster of the chip that is usual
  char* const bytes = reinterpret_cast<char*>(descriptor);
  for (int at = 0x100; at < 0x400; at += 4) {
    if (std::memcmp(bytes + at, "NVIDIA H", 8) != 0) continue;
    for (int32_t blocks = 1; blocks <= 16; ++blocks) {
      int32_t clusters = 0;
      for (int multiprocessors : kMultiprocessors) clusters += multiprocessors / blocks;
      std::memcpy(bytes + at - 64 + 4 * (blocks - 1), &clusters, sizeof clusters);
    }
    break;
  }
  return status;
}

}  // extern "C"
