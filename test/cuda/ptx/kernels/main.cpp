// kernels PTX...: runs every kernel of the product over small buffers, as PTX and on the host.
#include <cstdio>

#include "case.hpp"

int main(int count, char** words) {
  ptx::Checker checker;
  try {
    for (int i = 1; i < count; ++i) checker.load(words[i]);
    vggnet::cuda::run_elements(checker);
    vggnet::cuda::run_layers(checker);
    vggnet::cuda::run_training(checker);
    vggnet::cuda::run_samples(checker);
    vggnet::cuda::run_presence(checker);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  checker.print();
}
