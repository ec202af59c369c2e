// A stand-in for a CUDA library that ends its process when it is used, as cuDNN does with a version that does not fit.
#include <stdio.h>
#include <stdlib.h>

const void* vggnet_cuda(void) {
  fprintf(stderr, "Invalid handle. Cannot load symbol cudnnCreate\n");
  abort();
}
