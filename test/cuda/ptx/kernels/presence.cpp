// The kernel that is looked up and never launched.
#include "backend/cuda/kernels/presence.cu"

#include "case.hpp"

namespace vggnet::cuda {

void run_presence(ptx::Checker& checker) {
  Case run(checker);
  launch(&run, 3, Nothing{});
}

}  // namespace vggnet::cuda
