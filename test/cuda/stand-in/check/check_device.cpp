// The product's device, uploads and error paths over the stand-in's runtime; delays and failures come from the environment.
//   check_device transfers|trespass|aborted|lost|convolution|product
// Says what each step came to: "right", "wrong", or the code of the error.
#include <sys/mman.h>

#include <functional>
#include <iostream>
#include <random>
#include <vector>

#include "backend/cuda/convolution_description.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "backend/cuda/product.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

void say(const std::function<std::string()>& step) {
  try {
    std::cout << step() << "\n";
  } catch (const Error& error) {
    std::cout << error.code() << "\n";
    std::cerr << error.what() << "\n";
  }
}

// Whole numbers small enough that all their sums are exact.
class Transfers {
 public:
  explicit Transfers(Device& device) : device_(device), x_(device.allocate(kBytes)), y_(device.allocate(kBytes)) {
    for (HostBlock& block : sent_) block.memory = device.allocate_host(kBytes);
    fetched_ = device.allocate_host(kBytes);
  }

  std::string run() {
    for (int round = 0; round < 100; ++round) {
      switch (random_() % 9) {
        case 0: upload(); break;
        case 1: send(); break;
        case 2: add(); break;
        case 3: replay(); break;
        case 4: fetch(); break;
        case 5: measure(); break;
        case 6: beside(); break;
        case 7: download(values_.data()); break;
        default: download(static_cast<float*>(fetched_->data())); break;
      }
      if (wrong_) return std::string("wrong: ") + wrong_;
    }
    return "right";
  }

 private:
  static constexpr int64_t kCount = 1 << 20, kBytes = 4 * kCount, kPart = kCount / 3;
  struct HostBlock {
    std::unique_ptr<Memory> memory;
    uint64_t mark = 0;
  };

  // A part of x, and numbers for it.
  std::vector<float> numbers(int64_t* first) {
    const int64_t count = random_() % 8 ? kCount / 2 + random_() % (kCount / 2) : 1 + random_() % 300;
    *first = random_() % (kCount - count + 1);
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random_() % 16);
    std::ranges::copy(values, model_x_.begin() + *first);
    return values;
  }
  float* x() const { return static_cast<float*>(x_->data()); }
  float* y() const { return static_cast<float*>(y_->data()); }

  // Behind runs, and one close upon the other: more than the page-locked memory for it holds.
  void upload() {
    constexpr int kRuns = 4;
    for (int64_t i = 0; i < kCount; ++i) model_y_[i] += kRuns * model_x_[i];
    std::array<int64_t, 3> first;
    std::array<std::vector<float>, 3> values;
    for (size_t i = 0; i < values.size(); ++i) values[i] = numbers(&first[i]);
    for (int run = 0; run < kRuns; ++run) cuda::add(device_.stream(), x(), y(), kCount);
    for (size_t i = 0; i < values.size(); ++i) {
      device_.upload(values[i].data(), x() + first[i], static_cast<int64_t>(4 * values[i].size()));
      std::ranges::fill(values[i], -1e9f);
    }
  }

  // One close upon the other, behind a run.
  void send() {
    for (HostBlock& block : sent_) {
      if (block.mark) device_.wait(block.mark, [] {});
      std::generate_n(numbers_of(block), kPart, [&] { return static_cast<float>(random_() % 16); });
    }
    add();
    for (size_t i = 0; i < sent_.size(); ++i)
      device_.send(numbers_of(sent_[i]), x() + static_cast<int64_t>(i) * kPart, 4 * kPart);
    for (size_t i = 0; i < sent_.size(); ++i) {
      sent_[i].mark = device_.mark();
      std::copy_n(numbers_of(sent_[i]), kPart, model_x_.begin() + static_cast<int64_t>(i) * kPart);
    }
  }
  static float* numbers_of(const HostBlock& block) { return static_cast<float*>(block.memory->data()); }

  void measure() {
    if (device_.milliseconds([&] { add(); }) <= 0) wrong_ = "a time of nothing";
  }

  void add_x() { cuda::add(device_.stream(), x(), y(), kCount); }
  void model_add() {
    for (int64_t i = 0; i < kCount; ++i) model_y_[i] += model_x_[i];
  }

  void add() {
    add_x();
    model_add();
  }

  void replay() {
    device_.run(recording_, [&] { add_x(); });
    model_add();
  }

  // A run that adds x to y, and x again by way of w and z, which is done beside.
  void beside() {
    float *const w = static_cast<float*>(w_->data()), *const z = static_cast<float*>(z_->data());
    device_.run(branched_, [&] {
      cuda::add(device_.stream(), x(), w, kCount);
      device_.fork();
      add_x();
      device_.beside([&](Stream side) { cuda::add(side, w, z, kCount); });
      cuda::add(device_.stream(), z, y(), kCount);
      for (float* zero : {w, z}) device_.clear(zero, kBytes);
    });
    model_add();
    model_add();
  }

  void fetch() {
    device_.fetch(y(), fetched_->data(), kBytes);
    device_.wait(device_.mark(), [] {});
    compare(static_cast<float*>(fetched_->data()), "what was fetched");
  }

  void download(float* values) {
    device_.download(y(), values, kBytes);
    compare(values, "what was downloaded");
  }

  void compare(const float* values, const char* what) {
    if (!std::equal(model_y_.begin(), model_y_.end(), values)) wrong_ = what;
  }

  Device& device_;
  std::minstd_rand random_;
  std::unique_ptr<Memory> x_, y_, w_ = device_.allocate(kBytes), z_ = device_.allocate(kBytes), fetched_;
  std::vector<float> model_x_ = std::vector<float>(kCount), model_y_ = std::vector<float>(kCount);
  std::array<HostBlock, 3> sent_;
  std::vector<float> values_ = std::vector<float>(kCount);
  std::unique_ptr<Recording> recording_, branched_;
  const char* wrong_ = nullptr;
};

std::string trespass(Device& device) {
  const auto memory = device.allocate(4096);
  device.synchronize();
  if (pkey_alloc(0, 0) < 0) return "no keys";  // the processor's, by which the stand-in keeps the host out
  *static_cast<volatile char*>(memory->data()) = 1;
  return "wrong: written";
}

void aborted(Device& device) {
  const auto memory = device.allocate(4096);
  std::unique_ptr<Recording> recording;
  const auto clear = [&] {
    device.clear(memory->data(), 4096);
    multiply(device.stream(), Element::float32, memory->data(), 2, memory->data(), 1024);
  };
  device.run(recording, clear);
  say([&] {
    device.run(recording, [&] {
      clear();
      device.synchronize();  // not while it is recorded
    });
    return "right";
  });
  for (int times = 0; times < 2; ++times)
    say([&] {
      device.run(recording, clear);
      device.synchronize();
      return "right";
    });
}

void lost(Device& device) {
  const auto memory = device.allocate(4096);
  device.synchronize();
  for (int times = 0; times < 4; ++times)
    say([&] {
      multiply(device.stream(), Element::float32, memory->data(), 2, memory->data(), 1024);
      device.synchronize();
      return "right";
    });
}

void convolution(Device& device) {
  const ConvolutionGraph graph{Direction::forward, 2, 8, 6, 5, 16, 3, 3, 1, Precision::bf16};
  const auto x = device.allocate(2 * graph.n * graph.h * graph.w * graph.c),
             weights = device.allocate(2 * graph.k * 9 * graph.c),
             y = device.allocate(2 * graph.n * graph.out_h() * graph.out_w() * graph.k),
             workspace = device.allocate(workspace_bytes(graph));
  ConvolutionOperands operands;
  operands.x = x->data(), operands.weights = weights->data(), operands.y = y->data();
  const auto cudnn = open_cudnn(device);
  const auto proposals = cudnn->propose(graph, Heuristics::fallback);
  const auto plan = proposals->build(0);
  for (int times = 0; times < 2; ++times)
    say([&] {
      plan->run(operands, workspace->data());
      device.synchronize();
      return "right";
    });
}

void product(Device& device) {
  const Product product{16, 16, 32, false, false, Precision::float32};
  const auto a = device.allocate(4 * 16 * 32), b = device.allocate(4 * 32 * 16), d = device.allocate(4 * 16 * 16),
             workspace = device.allocate(kProductWorkspaceBytes);
  const ProductOperands operands{a->data(), b->data(), nullptr, d->data(), nullptr};
  const auto plans = make_product_plans(device);
  for (int times = 0; times < 2; ++times)
    say([&] {
      plans->choose(product, operands, workspace->data())->run(operands, workspace->data());
      device.synchronize();
      return "right";
    });
}

}  // namespace
}  // namespace vggnet::cuda

int main(int count, char** arguments) {
  using namespace vggnet::cuda;
  const std::string scenario = count == 2 ? arguments[1] : "";
  const auto device = open_device(0);
  if (scenario == "transfers") say([&] { return Transfers(*device).run(); });
  if (scenario == "trespass") say([&] { return trespass(*device); });
  if (scenario == "aborted") aborted(*device);
  if (scenario == "lost") lost(*device);
  if (scenario == "convolution") convolution(*device);
  if (scenario == "product") product(*device);
}
