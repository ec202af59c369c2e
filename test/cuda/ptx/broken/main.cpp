// broken PTX PTX: what is found in broken.cu, and then in unknown.cu.
#include <cstdio>

#include "broken.cu"
#include "kernels/case.hpp"

namespace vggnet::cuda {
namespace {

constexpr int64_t kItems = 257;

void run_broken(ptx::Checker& checker) {
  Case run(checker);
  write_one_too_many(&run, run.output("y", kItems), kItems);
  load_misaligned(&run, run.input("x", kLanes * (kItems + 1)), run.output("y", kLanes * kItems), kItems);
  read_what_nobody_wrote(&run, run.output("x", kItems), run.output("y", kItems), kItems);
  write_its_input(&run, const_cast<float*>(run.input("x", kItems)), kItems);
  read_its_neighbour(&run, static_cast<float*>(run.in_out("y", Element::float32, kItems)), kItems);
  const float* const x = run.input("x", 2 * kItems, Numbers::ordinary);
  differ_on_the_device(&run, x, static_cast<uint32_t*>(run.output("y", Element::bfloat16, 2 * kItems)), kItems);
  fuse_what_is_called_exact(&run, x, run.output("y", kItems), kItems);
}

}  // namespace
}  // namespace vggnet::cuda

int main(int, char** words) {
  ptx::Checker checker;
  checker.load(words[1]);
  vggnet::cuda::run_broken(checker);
  checker.print();
  try {
    checker.load(words[2]);
  } catch (const ptx::Fault& fault) {
    std::printf("refused\t%s\n", fault.what());
  }
}
