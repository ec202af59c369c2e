// cuBLASLt knows matrices column by column, in which ours are transposed: d^T = b^T a^T. So its A is our b, its B our
// a, and its bias, one for each of its rows, is ours for each column.
#include "backend/cuda/product.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "backend/cuda/check.hpp"
#include "backend/cuda/kernels/random.hpp"
#include "backend/cuda/plan_search.hpp"
#include "backend/cuda/product_sample.hpp"
#include "tensor/error.hpp"

namespace vggnet::cuda {
namespace {

constexpr int kMostProposals = 8;
constexpr uint32_t kOperandAlignment = 16;  // bytes; what every operand has, wherever a plan is used
constexpr uintptr_t kWorkspaceAlignment = 256;

[[noreturn]] void throw_cublas_error(cublasStatus_t status, const char* call, const char* file, int line) {
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? kOutOfMemory : kInternal,
              std::string(call) + ": " + cublasLtGetStatusString(status) + " (" + std::to_string(status) + ") at " +
                  file + ":" + std::to_string(line));
}

#define VGGNET_CUBLAS_CHECK(call)                               \
  do {                                                          \
    const cublasStatus_t vggnet_status = (call);                \
    if (vggnet_status != CUBLAS_STATUS_SUCCESS)                 \
      throw_cublas_error(vggnet_status, #call, __FILE__, __LINE__); \
  } while (false)

// What cuBLASLt creates, T being a pointer.
template <auto destroy>
struct Destroyer {
  template <class T>
  void operator()(T* object) const {
    destroy(object);
  }
};
template <class T, auto destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, Destroyer<destroy>>;

using Handle = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t type_of(Element element) { return element == Element::bfloat16 ? CUDA_R_16BF : CUDA_R_32F; }

Handle create_handle(Stream stream) {
  cublasLtHandle_t handle = nullptr;
  const cublasStatus_t status = cublasLtCreate(&handle);
  if (status != CUBLAS_STATUS_SUCCESS) VGGNET_THROW_IF_LOST(stream, "cublasLtCreate");
  VGGNET_CUBLAS_CHECK(status);
  return Handle(handle);
}

// As stored: rows of `columns` elements.
Layout create_layout(Element element, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  VGGNET_CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, type_of(element), columns, rows, columns));
  return Layout(layout);
}

template <class T>
void set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  VGGNET_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof value));
}

template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  VGGNET_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
}

cublasLtEpilogue_t epilogue_of(const Product& product) {
  if (product.sums_a) return CUBLASLT_EPILOGUE_BGRADB;
  if (product.bias) return product.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return product.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

Description describe(const Product& product) {
  cublasLtMatmulDesc_t created = nullptr;
  const auto compute = product.precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  VGGNET_CUBLAS_CHECK(cublasLtMatmulDescCreate(&created, compute, CUDA_R_32F));
  Description description(created);
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, product.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(description, CUBLASLT_MATMUL_DESC_TRANSB, product.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(product));
  if (product.bias || product.sums_a) {
    const cudaDataType_t type = type_of(product.sums_a ? Element::float32 : product.result);
    set(description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
    set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, uintptr_t{kOperandAlignment});  // proposals fit its alignment
  }
  return description;
}

// Partial sums are added in float32, whatever the type of d; in place they are added in the order of arrival.
uint32_t reductions_of(const Product& product) {
  uint32_t mask = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  if (product.result == Element::float32) mask |= CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  if (product.result == Element::float32 && !product.deterministic) mask |= CUBLASLT_REDUCTION_SCHEME_INPLACE;
  return mask;
}

double tolerance_of(const Product& product) {
  if (product.result == Element::bfloat16) return 2e-2;
  if (product.precision == Precision::float32) return 1e-4;  // less than what rounding to TF32 would cost
  return product.precision == Precision::tf32 ? 5e-3 : 1e-3;
}

std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::string name = "cublasLt";
  const auto add = [&](const char* what, cublasLtMatmulAlgoConfigAttributes_t attribute) {
    uint32_t value = 0;
    size_t written = 0;
    if (cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, &written) ==
        CUBLAS_STATUS_SUCCESS)
      name += std::string(" ") + what + std::to_string(value);
  };
  add("", CUBLASLT_ALGO_CONFIG_ID);
  add("tile ", CUBLASLT_ALGO_CONFIG_TILE_ID);
  add("stages ", CUBLASLT_ALGO_CONFIG_STAGES_ID);
  add("split ", CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
  return name;
}

class CublasPlan final : public ProductPlan {
 public:
  CublasPlan(cublasLtHandle_t handle, Stream stream, const Product& p)
      : handle_(handle),
        stream_(stream),
        has_bias_(p.bias),
        has_sums_(p.sums_a),
        description_(describe(p)),
        a_(create_layout(element_of(p.precision), p.transposed_a ? p.inner : p.rows,
                         p.transposed_a ? p.rows : p.inner)),
        b_(create_layout(element_of(p.precision), p.transposed_b ? p.columns : p.inner,
                         p.transposed_b ? p.inner : p.columns)),
        d_(create_layout(p.result, p.rows, p.columns)) {}

  // Best first, as cuBLASLt guesses; empty where it refuses.
  std::vector<cublasLtMatmulHeuristicResult_t> proposals(const Product& product) const {
    cublasLtMatmulPreference_t created = nullptr;
    VGGNET_CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&created));
    const Preference preference(created);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kProductWorkspaceBytes});
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions_of(product));
    for (auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                         CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      set(preference, operand, kOperandAlignment);
    std::array<cublasLtMatmulHeuristicResult_t, kMostProposals> found{};
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, description_.get(), b_.get(), a_.get(), d_.get(), d_.get(),
                                       preference.get(), kMostProposals, found.data(), &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return {};
    VGGNET_CUBLAS_CHECK(status);
    std::vector<cublasLtMatmulHeuristicResult_t> usable(found.begin(), found.begin() + count);
    std::erase_if(usable, [](const auto& one) { return one.state != CUBLAS_STATUS_SUCCESS; });
    return usable;
  }

  void use(const cublasLtMatmulAlgo_t& algorithm) {
    algorithm_ = algorithm;
    name_ = name_of(algorithm);
  }

  cublasStatus_t try_to_run(const ProductOperands& operands, void* workspace) {
    VGGNET_ASSERT(reinterpret_cast<uintptr_t>(workspace) % kWorkspaceAlignment == 0);
    if (has_bias_) set(description_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias);
    if (has_sums_) set(description_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.sums);
    const float one = 1, zero = 0;
    const cublasStatus_t status =
        cublasLtMatmul(handle_, description_.get(), &one, operands.b, b_.get(), operands.a, a_.get(), &zero, operands.d,
                       d_.get(), operands.d, d_.get(), &algorithm_, workspace, kProductWorkspaceBytes, stream_);
    if (status != CUBLAS_STATUS_SUCCESS) VGGNET_THROW_IF_LOST(stream_, "cublasLtMatmul");
    return status;
  }

  const std::string& name() const override { return name_; }
  void run(const ProductOperands& operands, void* workspace) override {
    VGGNET_CUBLAS_CHECK(try_to_run(operands, workspace));
  }

 private:
  const cublasLtHandle_t handle_;
  const Stream stream_;
  const bool has_bias_, has_sums_;
  const Description description_;
  const Layout a_, b_, d_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::string name_;
};

class CublasPlans final : public ProductPlans {
 public:
  explicit CublasPlans(Device& device) : device_(device) {}

  ProductPlan* choose(const Product& product, const ProductOperands& operands, void* workspace) override {
    const std::string text = product.text();
    const auto known = plans_.find(text);
    if (known != plans_.end()) return known->second.get();
    return (plans_[text] = find(product, operands, workspace)).get();
  }

 private:
  std::unique_ptr<CublasPlan> find(const Product& product, const ProductOperands& operands, void* workspace) {
    const auto start = std::chrono::steady_clock::now();
    if (!handle_) handle_ = create_handle(device_.stream());
    const auto fill = [&](const void* x, int64_t count, uint64_t seed) {
      fill_random(device_.stream(), element_of(product.precision), const_cast<void*>(x), count, seed, 1);
    };
    fill(operands.a, product.rows * product.inner, 1);
    if (product.transposed_a) fill(operands.b, product.inner * product.columns, 2);

    ProductSample sample(device_, product, operands, workspace);
    auto plan = std::make_unique<CublasPlan>(handle_.get(), device_.stream(), product);
    std::optional<cublasLtMatmulAlgo_t> fastest;
    PlanLine choice;
    std::string refused;
    const std::vector<cublasLtMatmulHeuristicResult_t> proposals = plan->proposals(product);
    int64_t searched = 0;
    // In deterministic mode the first one: by time, another one might be chosen in the next process.
    const bool measures = !product.deterministic && limits_.plans > 1;
    for (const cublasLtMatmulHeuristicResult_t& proposal : proposals) {
      plan->use(proposal.algo);
      ++searched;
      PlanLine line{"product", product.text(), plan->name()};
      line.workspace = static_cast<int64_t>(proposal.workspaceSize);
      line.operations = 2.0 * product.rows * product.columns * product.inner;
      line.refused = fault_of(*plan, product, operands, workspace, sample, line.error);
      if (line.refused.empty() && measures) line.ms = time(*plan, operands, workspace);
      log_plan(line);
      if (!line.refused.empty()) {
        refused += "; " + plan->name() + ": " + line.refused;
        continue;
      }
      if (!fastest || *line.ms < *choice.ms) {
        fastest = proposal.algo;
        choice = line;
      }
      if (!measures) break;
    }
    if (fastest) {
      choice.chosen = true;
      choice.searched = searched;
      choice.offered = std::ssize(proposals);
      choice.seconds = seconds_since(start);
      log_plan(choice);
      plan->use(*fastest);
      return plan;
    }
    if (product.bias || product.relu || product.sums_a) return nullptr;
    throw Error(kInternal, "cuBLASLt has no algorithm for " + product.text() + refused);
  }

  // Empty where the plan may be used.
  std::string fault_of(CublasPlan& plan, const Product& product, const ProductOperands& operands, void* workspace,
                       ProductSample& sample, std::optional<double>& error) {
    sample.poison();
    const cublasStatus_t status = plan.try_to_run(operands, workspace);
    if (status != CUBLAS_STATUS_SUCCESS) return cublasLtGetStatusString(status);
    error = sample.error();
    if (!(*error <= tolerance_of(product))) return "wrong by " + std::to_string(*error) + " of the result";
    if (product.relu && !sample.keeps_not_a_number([&] { plan.run(operands, workspace); })) return "makes NaN zero";
    return "";
  }

  // Several calls in a row, as in a recording: alone, a short one would be timed with its launch.
  double time(CublasPlan& plan, const ProductOperands& operands, void* workspace) {
    std::array<double, 5> times;
    for (double& each : times)
      each = device_.milliseconds([&] {
        for (int i = 0; i < 4; ++i) plan.run(operands, workspace);
      });
    std::ranges::sort(times);
    return times[times.size() / 2];
  }

  Device& device_;
  const SearchLimits limits_ = search_limits();
  Handle handle_;
  std::map<std::string, std::unique_ptr<CublasPlan>> plans_;  // by text; null: not with these extras
};

}  // namespace

std::unique_ptr<ProductPlans> make_product_plans(Device& device) { return std::make_unique<CublasPlans>(device); }

}  // namespace vggnet::cuda
