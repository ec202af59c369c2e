// Builds cuDNN plans for the graphs of whole networks on a card that is only described.
//   plans description.json compute-capability build|restore folder
// Reads layers and runs, a line each, and answers with one line of JSON for each graph:
//   input C | convolution NAME RELU OUTPUTS KERNEL | max-pool NAME | linear NAME RELU OUTPUTS H W DROPOUT | norm NAME |
//   mean NAME, where RELU may be "-";  then: run LABEL N H W PRECISION [training] [exact] [deterministic] [image]
//   [alternatives], the last for all ways to compute an input gradient; clear: new layers
// build: the graph's first plan, on two threads, which is kept in the product's cache, in the folder. restore: the plan
// comes from there.
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "backend/cuda/convolution.hpp"
#include "backend/cuda/convolution_description.hpp"
#include "backend/cuda/linear.hpp"
#include "backend/cuda/plan_cache.hpp"
#include "network/plan.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

struct Wanted {
  ConvolutionGraph graph;
  std::string layer;  // of the first network that has it
};

// What can be seen of a plan without a card.
struct Seen {
  int64_t workspace = 0;
  size_t bytes = 0, hash = 0;  // as it is serialized
  std::string end;             // of a run: how far it comes, which includes that all its operands are found
};

Seen seen_of(BuiltPlan& plan) {
  std::vector<uint8_t> bytes = plan.serialized();
  std::ranges::sort(bytes);  // it holds sets, in any order
  Seen seen{plan.workspace_bytes(), bytes.size(), std::hash<std::string>()({bytes.begin(), bytes.end()}), "ran"};
  alignas(256) static char memory[4096];
  ConvolutionOperands operands{memory, memory, memory, memory, memory, memory, memory, nullptr, nullptr, memory};
  operands.dw = operands.sums = reinterpret_cast<float*>(memory);
  try {
    plan.run(operands, memory);
  } catch (const Error& error) {
    seen.end = error.what();
  }
  return seen;
}

struct Answer {
  std::string engine, kernel, heuristics = "none", refusal;
  int64_t plans = 0;
  Seen seen = {};  // of the first
  int64_t suited = -1;  // the first plan with a kernel for sm_90; looked for on such a card only
};

// Compiled for it, or with a size of clusters, which older cards do not have (CUDNN_KNOB_TYPE_TILE_CGA_M).
bool is_for_sm90(const std::string& plan, const std::string& kernel) {
  return kernel.find("sm90") != std::string::npos || plan.find("_k27=") != std::string::npos;
}

// A graph's first plan that can be built, and the first one for sm_90.
class Builder {
 public:
  Builder(Cudnn& cudnn, bool wants_sm90, const PlanCache& cache) : cudnn_(cudnn), wants_sm90_(wants_sm90), cache_(cache) {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!driver) throw Error(kInternal, "no stand-in for libcuda.so.1 is on LD_LIBRARY_PATH");
    kernel_ = reinterpret_cast<const char* (*)()>(dlsym(driver, "described_card_kernel"));
    forget_ = reinterpret_cast<void (*)()>(dlsym(driver, "described_card_forget"));
    if (!kernel_ || !forget_) throw Error(kInternal, "a real driver's libcuda.so.1 comes before the stand-in");
  }

  Answer build(const ConvolutionGraph& graph) const {
    Answer answer;
    for (Heuristics heuristics : {Heuristics::first, Heuristics::fallback}) {
      if (!build(graph, heuristics, answer)) continue;
      answer.heuristics = heuristics == Heuristics::first ? "first" : "fallback";
      answer.refusal.clear();
      break;
    }
    return answer;
  }

 private:
  bool build(const ConvolutionGraph& graph, Heuristics heuristics, Answer& answer) const {
    try {
      const auto proposals = cudnn_.propose(graph, heuristics);
      const int64_t tried = std::min<int64_t>(proposals->count(), 12);  // as many as a card would try
      for (int64_t i = 0; i < proposals->count() && (answer.plans == 0 || (wants_sm90_ && i < tried)); ++i) {
        try {
          forget_();
          const auto plan = proposals->build(i);
          if (answer.plans == 0) {
            answer = {plan->name(), kernel_(), "", "", proposals->count(), seen_of(*plan)};
            cache_.keep(graph.text(), plan->serialized());
          }
          if (!is_for_sm90(plan->name(), kernel_())) continue;
          answer.suited = i;
          break;
        } catch (const Error& error) {
          answer.refusal += std::string(error.what()) + "; ";
        }
      }
    } catch (const Error& error) {
      answer.refusal += std::string(error.what()) + "; ";
    }
    return answer.plans > 0;
  }

  Cudnn& cudnn_;
  const bool wants_sm90_;
  const PlanCache& cache_;
  const char* (*kernel_)();
  void (*forget_)();
};

std::string read_word(std::istream& line) {
  std::string word;
  if (!(line >> word)) throw Error(kInvalidArgument, "a line ends too early");
  return word == "-" ? "" : word;
}
int64_t read_number(std::istream& line) { return std::stoll(read_word(line)); }

Layer read_layer(const std::string& kind, std::istream& line) {
  if (kind == "input") {
    const int64_t channels = read_number(line);
    return Input{"input", channels, std::vector<float>(channels), std::vector<float>(channels, 1.0f)};
  }
  const std::string name = read_word(line);
  if (kind == "max-pool") return MaxPool{name};
  if (kind == "norm") return LocalNorm{name, 5, 2, 1e-4f, 0.75f};
  if (kind == "mean") return SpatialMean{name};
  const std::string relu = read_word(line);
  const int64_t outputs = read_number(line), first = read_number(line);
  if (kind == "convolution") return Convolution{name, relu, outputs, static_cast<int>(first)};
  if (kind != "linear") throw Error(kInvalidArgument, "no such layer: " + kind);
  const int64_t second = read_number(line);
  return Linear{name, relu, outputs, first, second, std::stof(read_word(line)), 0};
}

class Networks {
 public:
  void read(const std::string& text) {
    std::istringstream line(text);
    const std::string kind = read_word(line);
    alternatives_ = false;
    if (kind == "clear") layers_.clear();
    else if (kind == "run") add_run(line);
    else layers_.push_back(read_layer(kind, line));
  }
  const std::vector<Wanted>& wanted() const { return wanted_; }

 private:
  void add_run(std::istream& line) {
    const std::string label = read_word(line);
    const int64_t n = read_number(line), h = read_number(line), w = read_number(line);
    const std::string precision = read_word(line);
    Setting setting{};
    setting.precision = precision == "bf16" ? Precision::bf16 : precision == "tf32" ? Precision::tf32 : Precision::float32;
    PlanOptions options;
    options.images = DType::uint8;
    for (std::string flag; line >> flag;) {
      options.training |= flag == "training";
      options.exact |= flag == "exact";
      options.wants_image_gradient |= flag == "image";
      setting.deterministic |= flag == "deterministic";
      alternatives_ |= flag == "alternatives";
    }
    const auto& input = std::get<Input>(layers_.front());
    const Plan plan = make_plan(layers_, {n, input.channels, h, w}, options);
    for (const PlannedStage& stage : plan.stages) {
      const auto add = [&](const ConvolutionGraphs& graphs) {
        for (const ConvolutionGraph& graph : graphs.all()) want_some(graph, label + " " + name_of(stage.layer));
      };
      if (const auto* alone = std::get_if<Convolution>(&stage.layer))
        add(graphs_of(*alone, stage.input_shape, stage.context, setting));
      if (const auto* pooled = std::get_if<ConvolutionPool>(&stage.layer))
        add(graphs_of(pooled->convolution, stage.input_shape, stage.context, setting));
      if (const auto* linear = std::get_if<Linear>(&stage.layer))
        if (const auto graphs = graphs_of(*linear, stage.input_shape, stage.context, setting)) add(*graphs);
    }
  }

  void want_some(const ConvolutionGraph& graph, const std::string& layer) {
    for (const Alternative& alternative : alternatives_of(graph)) {
      if (alternative.last_resort) continue;
      want(alternative.graph, layer);
      if (!alternatives_) return;
    }
  }

  void want(const ConvolutionGraph& graph, const std::string& layer) {
    const auto same = [&](const Wanted& other) { return other.graph.text() == graph.text(); };
    if (std::ranges::none_of(wanted_, same)) wanted_.push_back({graph, layer});
  }

  std::vector<Layer> layers_;
  std::vector<Wanted> wanted_;
  bool alternatives_ = false;  // of this run
};

std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "\"";
}

std::string json(const Seen& seen) {
  std::ostringstream text;
  text << "\"workspace\":" << seen.workspace << ",\"bytes\":" << seen.bytes << ",\"hash\":\"" << seen.hash
       << "\",\"end\":" << quoted(seen.end) << "}\n";
  return text.str();
}

std::string json(const Wanted& wanted, const Answer& answer) {
  std::ostringstream line;
  line << "{\"graph\":" << quoted(wanted.graph.text()) << ",\"layer\":" << quoted(wanted.layer)
       << ",\"engine\":" << quoted(answer.engine) << ",\"kernel\":" << quoted(answer.kernel)
       << ",\"heuristics\":" << quoted(answer.heuristics) << ",\"plans\":" << answer.plans
       << ",\"cap\":" << workspace_bytes(wanted.graph) << ",\"suited\":" << answer.suited
       << ",\"refusal\":" << quoted(answer.refusal) << "," << json(answer.seen);
  return line.str();
}

// A part of a plan is refused, and with an error of ours.
void expect_refused(const ConvolutionGraph& graph, Cudnn& cudnn, const std::vector<uint8_t>& whole) {
  try {
    cudnn.restore(graph, "a half", {whole.begin(), whole.begin() + whole.size() / 2});
  } catch (const Error&) {
    return;
  }
  throw Error(kInternal, "half a plan was restored for " + graph.text());
}

void restore_all(const std::vector<Wanted>& wanted, Cudnn& cudnn, const PlanCache& cache) {
  for (const Wanted& each : wanted) {
    const auto serialized = cache.find(each.graph.text());
    if (!serialized) throw Error(kInternal, "no plan is kept for " + each.graph.text());
    const auto plan = cudnn.restore(each.graph, "restored", *serialized);
    std::cout << "{\"graph\":" << quoted(each.graph.text()) << "," << json(seen_of(*plan));
    expect_refused(each.graph, cudnn, *serialized);
  }
}

void build_all(const std::vector<Wanted>& wanted, Cudnn& cudnn, bool wants_sm90, const PlanCache& cache) {
  constexpr int kThreads = 2;
  const Builder builder(cudnn, wants_sm90, cache);
  std::atomic<size_t> next = 0;
  std::mutex printing;
  std::vector<std::jthread> workers;
  for (int i = 0; i < kThreads; ++i)
    workers.emplace_back([&] {
      for (size_t at; (at = next++) < wanted.size();) {
        const std::string line = json(wanted[at], builder.build(wanted[at].graph));
        const std::lock_guard lock(printing);
        std::cout << line << std::flush;
      }
    });
}

void run(const std::string& description_path, int compute_capability, const std::string& what, const PlanCache& cache) {
  std::ifstream file(description_path);
  const std::string description{std::istreambuf_iterator<char>(file), {}};
  Networks networks;
  for (std::string line; std::getline(std::cin, line);)
    if (!line.empty()) networks.read(line);
  const auto cudnn = open_cudnn_without_card(description, compute_capability);
  if (what == "restore") restore_all(networks.wanted(), *cudnn, cache);
  else build_all(networks.wanted(), *cudnn, compute_capability == 90, cache);
}

}  // namespace
}  // namespace vggnet::cuda

int main(int count, char** arguments) {
  if (count != 5) return 2;
  try {
    vggnet::cuda::run(arguments[1], std::stoi(arguments[2]), arguments[3], vggnet::cuda::PlanCache(arguments[4]));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
