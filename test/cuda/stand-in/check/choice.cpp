// Tries the product's choice among plans over made-up proposals on the stand-in card.
//   choice forward|input-gradient|weight-gradient[,deterministic] FIRST FALLBACK
// FIRST and FALLBACK are plans by what they do, with commas between; "mask/right" is offered for that alternative only.
// "-": the heuristics fail; "!": they throw what is not ours. Says what was built, what was restored from disk and what
// was chosen. RESTORED: what a plan from disk does instead of what it did. SIDE: of the images.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <sstream>
#include <string_view>
#include <thread>
#include <tuple>

#include "backend/cuda/convolution_description.hpp"
#include "backend/cuda/kernels/elements.hpp"
#include "stream.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

std::vector<std::string> first, fallback, restored;

// Plans are built on several threads: listed in their order, whichever thread built them.
std::mutex building;
std::map<std::tuple<bool, std::string, size_t>, std::string> built;  // by fallback, alternative and index

std::atomic<bool> ending = false;

std::string alternative_of(const ConvolutionGraph& graph) {
  if (graph.direction == Direction::forward) return graph.relu ? "fused" : graph.bias ? "bias" : "plain";
  if (graph.direction == Direction::weight_gradient) return "fused";
  return graph.sums_gradient ? "fused" : graph.mask ? "mask" : "plain";
}

// Calls visit(index of x, of the weights, of y) for every product of the convolution.
template <class Visit>
void for_each_product(const ConvolutionGraph& g, Visit visit) {
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t p = 0; p < g.out_h(); ++p)
      for (int64_t q = 0; q < g.out_w(); ++q)
        for (int64_t r = 0; r < g.kernel_h; ++r)
          for (int64_t s = 0; s < g.kernel_w; ++s) {
            const int64_t y = p + r - g.padding, x = q + s - g.padding;
            if (y < 0 || y >= g.h || x < 0 || x >= g.w) continue;
            for (int64_t k = 0; k < g.k; ++k)
              for (int64_t c = 0; c < g.c; ++c)
                visit(((n * g.h + y) * g.w + x) * g.c + c, ((k * g.kernel_h + r) * g.kernel_w + s) * g.c + c,
                      ((n * g.out_h() + p) * g.out_w() + q) * g.k + k);
          }
}

std::vector<float> result_of(const ConvolutionGraph& g, const ConvolutionOperands& operands) {
  const auto floats = [](const void* data) { return static_cast<const float*>(data); };
  const float *x = floats(operands.x), *w = floats(operands.weights), *dy = floats(operands.dy);
  std::vector<float> result;
  switch (g.direction) {
    case Direction::forward:
      result.resize(g.n * g.out_h() * g.out_w() * g.k);
      for_each_product(g, [&](int64_t i, int64_t j, int64_t o) { result[o] += x[i] * w[j]; });
      for (size_t i = 0; i < result.size(); ++i) {
        if (g.bias) result[i] += floats(operands.bias)[i % g.k];
        if (g.relu && result[i] < 0) result[i] = 0;
      }
      break;
    case Direction::input_gradient:
      result.resize(g.n * g.h * g.w * g.c);
      for_each_product(g, [&](int64_t i, int64_t j, int64_t o) { result[i] += dy[o] * w[j]; });
      for (size_t i = 0; i < result.size() && g.mask; ++i) result[i] = floats(operands.mask)[i] > 0 ? result[i] : 0;
      break;
    case Direction::weight_gradient:
      result.resize(g.k * g.kernel_h * g.kernel_w * g.c);
      for_each_product(g, [&](int64_t i, int64_t j, int64_t o) { result[j] += x[i] * dy[o]; });
  }
  return result;
}

class MadeUpPlan final : public BuiltPlan {
 public:
  MadeUpPlan(const ConvolutionGraph& graph, Stream stream, std::string name, std::string does)
      : graph_(graph), stream_(stream), name_(std::move(name)), does_(std::move(does)) {}
  const std::string& name() const override { return name_; }
  int64_t workspace_bytes() const override { return 0; }
  std::vector<uint8_t> serialized() const override {
    if (does_ == "kept-nowhere") throw Error(kInternal, "cannot be serialized");
    return {name_.begin(), name_.end()};
  }

  void run(const ConvolutionOperands& operands, void*) override {
    if (does_ == "fails") throw Error(kInternal, "does not run");
    if (does_ == "loses") throw Error(kDeviceLost, "the card is lost");
    if (does_ == "ends-running") ending = true;
    stream_->enqueue([=, this] { write(operands); });
  }

 private:
  void write(const ConvolutionOperands& operands) {
    std::vector<float> result = result_of(graph_, operands);
    if (does_ == "max-relu" && graph_.relu) for (float& value : result) value = std::max(0.0f, value);
    if (does_ == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const bool tired = does_ == "tires" && ++runs_ > 2;
    const float factor = does_ == "wrong" || tired ? 1.1f : does_ == "inexact" ? 1.01f : does_ == "zero" ? 0.0f : 1.0f;
    for (float& value : result) value *= factor;
    if (does_ == "infinite") result[result.size() / 3] = std::numeric_limits<float>::infinity();
    float* const out = graph_.direction == Direction::forward          ? static_cast<float*>(operands.y)
                       : graph_.direction == Direction::input_gradient ? static_cast<float*>(operands.dx)
                                                                       : operands.dw;
    const size_t written = does_ == "unfinished" ? result.size() / 2 : result.size();
    std::copy_n(result.begin(), written, out);
    if (!graph_.sums_gradient) return;
    for (size_t i = 0; i < result.size(); ++i) operands.sums[i % graph_.c] += result[i];
    if (does_ == "wrong-sums") operands.sums[0] += 1000;
  }

  const ConvolutionGraph graph_;
  const Stream stream_;
  const std::string name_, does_;
  int runs_ = 0;
};

// "slow" of "mask/slow".
std::string deed(const std::string& word) { return word.substr(word.find('/') + 1); }

class MadeUpProposals final : public Proposals {
 public:
  MadeUpProposals(const ConvolutionGraph& graph, Stream stream, const std::vector<std::string>& plans)
      : graph_(graph), stream_(stream), fallback_(&plans == &fallback) {
    for (const std::string& word : plans)
      if (word.find('/') == std::string::npos || word.starts_with(alternative_of(graph) + "/")) plans_.push_back(word);
  }
  int64_t count() const override { return static_cast<int64_t>(plans_.size()); }
  std::string name(int64_t index) const override { return plans_[index]; }
  std::unique_ptr<BuiltPlan> build(int64_t index) override {
    const std::string does = deed(plans_[index]);
    if (does == "unbuildable") throw Error(kInternal, "cannot be built");
    if (does == "loses-built") throw Error(kDeviceLost, "the card is lost");
    if (does == "too-large") throw std::bad_alloc();
    if (does == "ends-building") ending = true;
    while (does == "waits" && !ending) std::this_thread::yield();
    if (does == "long") std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::lock_guard lock(building);
    built[{fallback_, alternative_of(graph_), index}] = plans_[index];
    return std::make_unique<MadeUpPlan>(graph_, stream_, plans_[index], does);
  }

 private:
  const ConvolutionGraph graph_;
  const Stream stream_;
  const bool fallback_;
  std::vector<std::string> plans_;
};

class MadeUpCudnn final : public Cudnn {
 public:
  explicit MadeUpCudnn(Stream stream) : stream_(stream) {}
  std::string version() const override { return "made up"; }
  std::unique_ptr<Proposals> propose(const ConvolutionGraph& graph, Heuristics heuristics) override {
    const auto& plans = heuristics == Heuristics::first ? first : fallback;
    if (plans == std::vector<std::string>{"-"}) throw Error(kInternal, "no heuristics");
    if (plans == std::vector<std::string>{"!"}) throw std::out_of_range("of the frontend's JSON");
    return std::make_unique<MadeUpProposals>(graph, stream_, plans);
  }
  std::unique_ptr<BuiltPlan> restore(const ConvolutionGraph& graph, const std::string& name,
                                     const std::vector<uint8_t>& serialized) override {
    restored.push_back(name);
    if (std::string(serialized.begin(), serialized.end()) != name) throw Error(kInternal, "another plan came back");
    const char* does = std::getenv("RESTORED");
    if (does && std::string_view(does) == "unreadable") throw Error(kInternal, "cannot be restored");
    return std::make_unique<MadeUpPlan>(graph, stream_, name, does ? does : deed(name));
  }

 private:
  const Stream stream_;
};

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  return words;
}

std::string built_plans() {
  std::string text;
  for (const auto& [index, plan] : built) text += (text.empty() ? "" : ",") + plan;
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

void run(const std::string& what) {
  const std::unique_ptr<Device> device = open_device(0);
  const std::string direction = what.substr(0, what.find(','));
  const char* side = std::getenv("SIDE");
  ConvolutionGraph graph{};
  graph.direction = direction == "forward"          ? Direction::forward
                    : direction == "input-gradient" ? Direction::input_gradient
                                                    : Direction::weight_gradient;
  graph.n = 2, graph.c = 8, graph.h = side ? std::atoll(side) : 6, graph.w = graph.h - 1, graph.k = 16;
  graph.kernel_h = graph.kernel_w = 3, graph.padding = 1;
  graph.precision = Precision::tf32;
  graph.deterministic = what.ends_with(",deterministic");
  graph.bias = graph.relu = graph.direction == Direction::forward;
  graph.mask = graph.sums_gradient = graph.direction == Direction::input_gradient;
  const int64_t pixels = graph.n * graph.h * graph.w;
  const auto x = device->allocate(4 * pixels * graph.c), mask = device->allocate(x->bytes()),
             dx = device->allocate(x->bytes()), y = device->allocate(2 * x->bytes()), dy = device->allocate(2 * x->bytes()),
             weights = device->allocate(4 * graph.k * 9 * graph.c), dw = device->allocate(weights->bytes()),
             bias = device->allocate(4 * graph.k), sums = device->allocate(4 * graph.c),
             partial = device->allocate(partial_sums_bytes(pixels, graph.c));
  ConvolutionOperands operands{x->data(), weights->data(), dy->data(), mask->data(), bias->data(), y->data(), dx->data(),
                               static_cast<float*>(dw->data()), static_cast<float*>(sums->data()), partial->data()};
  const auto plans = make_convolution_plans(*device, &ending);
  ConvolutionPlan& chosen = plans->choose(graph, operands, nullptr);
  const bool again = &plans->choose(graph, operands, nullptr) == &chosen;
  std::cout << "built " << built_plans() << "; restored " << joined(restored) << "; chosen " << chosen.name()
            << (again ? "" : "; another one at the second time") << "\n";
}

}  // namespace

std::unique_ptr<Cudnn> open_cudnn(const Device& device) { return std::make_unique<MadeUpCudnn>(device.stream()); }

}  // namespace vggnet::cuda

int main(int count, char** arguments) {
  if (count != 4) return 2;
  vggnet::cuda::first = vggnet::cuda::words(arguments[2]);
  vggnet::cuda::fallback = vggnet::cuda::words(arguments[3]);
  try {
    vggnet::cuda::run(arguments[1]);
  } catch (const vggnet::Error& error) {
    std::cout << "built " << vggnet::cuda::built_plans() << "; " << error.code() << ": " << error.what() << "\n";
  }
}
