// A stand-in for libcublasLt.so.13: column-major products in float64, on the stream of the stand-in's runtime. It proposes
// algorithms of several kinds, not all of them right. It says nothing of cuBLASLt.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "matrix.hpp"
#include "runtime/memory.hpp"
#include "runtime/state.hpp"
#include "stream.hpp"

namespace {

using vggnet::Precision;
using namespace vggnet::cuda;

// In the order in which they are proposed.
enum class Kind : uint64_t { refused, fails, wrong, slow, fast, makes_not_a_number_zero };
constexpr std::array kKinds = {Kind::refused, Kind::fails, Kind::wrong, Kind::slow, Kind::fast, Kind::makes_not_a_number_zero};
constexpr double kFlopsOfMillisecond = 5e11;
constexpr size_t kWorkspaceBytes = 1 << 16;

struct Layout {
  cudaDataType type;
  int64_t rows, columns, step;  // elements from one column to the next
};
using Attributes = std::map<int, std::array<uint64_t, 2>>;
struct Description {
  cublasComputeType_t compute;
  Attributes values;
};

const Layout& of(cublasLtMatrixLayout_t layout) { return *reinterpret_cast<Layout*>(layout); }
const Description& of(cublasLtMatmulDesc_t description) { return *reinterpret_cast<Description*>(description); }

template <class T>
T value(const Description& description, int attribute, T otherwise) {
  const auto found = description.values.find(attribute);
  if (found != description.values.end()) std::memcpy(&otherwise, found->second.data(), sizeof otherwise);
  return otherwise;
}

cublasStatus_t set(Attributes& values, int attribute, const void* from, size_t bytes) {
  if (bytes > sizeof(Attributes::mapped_type)) return CUBLAS_STATUS_INVALID_VALUE;
  values[attribute] = {};
  std::memcpy(values[attribute].data(), from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

Element element_of(cudaDataType type) { return type == CUDA_R_16BF ? Element::bfloat16 : Element::float32; }
Precision exact(Element element) { return element == Element::bfloat16 ? Precision::bf16 : Precision::float32; }

// d = op(a) op(b), m x n over k
struct Product {
  int64_t m, n, k;
  bool transposed_a, transposed_b, relu, adds_bias, sums_b;
  Layout a_layout, b_layout, d_layout;
  Precision precision;
  Element bias_element;

  Product(const Description& description, const Layout& a, const Layout& b, const Layout& d)
      : m(d.rows), n(d.columns), a_layout(a), b_layout(b), d_layout(d) {
    transposed_a = value(description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_N) == CUBLAS_OP_T;
    transposed_b = value(description, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N) == CUBLAS_OP_T;
    k = transposed_a ? a.rows : a.columns;
    const auto epilogue = value(description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
    relu = epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    adds_bias = epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    sums_b = epilogue == CUBLASLT_EPILOGUE_BGRADB;
    bias_element = ::element_of(value(description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, d.type));
    precision = a.type == CUDA_R_16BF                                    ? Precision::bf16
                : description.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? Precision::tf32
                                                                      : Precision::float32;
  }

  bool fits() const {
    return a_layout.type == b_layout.type && (transposed_a ? a_layout.columns : a_layout.rows) == m &&
           (transposed_b ? b_layout.columns : b_layout.rows) == k && (transposed_b ? b_layout.rows : b_layout.columns) == n;
  }
  // Half of the products get no extras.
  bool is_refused() const { return (adds_bias || relu || sums_b) && (n + m / kLanes + k / kLanes) % 2 == 0; }

  std::vector<stand_in::Operand> operands(const void* a, const void* b, const void* bias, void* d, void* workspace,
                                          size_t workspace_bytes) const {
    const auto bytes = [](const Layout& layout) { return layout.step * layout.columns * bytes_of(::element_of(layout.type)); };
    std::vector<stand_in::Operand> all{{"the workspace", workspace, static_cast<int64_t>(workspace_bytes), true},
                                       {"A", a, bytes(a_layout), false},
                                       {"B", b, bytes(b_layout), false},
                                       {"D", d, bytes(d_layout), true}};
    if (adds_bias || sums_b) all.push_back({"the bias", bias, (sums_b ? n : m) * bytes_of(bias_element), sums_b});
    return all;
  }

  // Row by row a column-major product is the other way round: d' = b' a'.
  void compute(Kind kind, const void* a, const void* b, void* bias, void* d) const {
    const auto reading = [this](const void* data, int64_t step) {
      return [this, data, step](int64_t vector, int64_t begin, int64_t end, float* values) {
        load(precision, data, vector * step + begin, end - begin, values);
      };
    };
    const Vectors left{transposed_b ? Vectors::columns : Vectors::rows, reading(b, b_layout.step)};
    const Vectors right{transposed_a ? Vectors::columns : Vectors::rows, reading(a, a_layout.step)};
    const Element result = ::element_of(d_layout.type);
    const double factor = kind == Kind::wrong ? 1.05 : 1;
    multiply(n, m, k, left, right, [&](int64_t column, const double* values) {
      for (int64_t row = 0; row < m; ++row) {
        double sum = values[row] * factor + (adds_bias ? load(exact(bias_element), bias, row) : 0);
        if (relu && (sum < 0 || (std::isnan(sum) && kind == Kind::makes_not_a_number_zero))) sum = 0;
        store(result, d, column * d_layout.step + row, sum);
      }
    });
    if (!sums_b) return;
    std::vector<double> sums(n);
    for (int64_t l = 0; l < k; ++l)
      for (int64_t j = 0; j < n; ++j)
        sums[j] += load(precision, b, transposed_b ? l * b_layout.step + j : j * b_layout.step + l);
    for (int64_t j = 0; j < n; ++j) store(bias_element, bias, j, sums[j]);
  }
};

template <class Opaque, class T>
cublasStatus_t create(Opaque** created, T object) {
  *created = reinterpret_cast<Opaque*>(new T(std::move(object)));
  return CUBLAS_STATUS_SUCCESS;
}
template <class T>
cublasStatus_t destroy(void* object) {
  delete static_cast<T*>(object);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

size_t cublasLtGetVersion() { return 130100; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    default: return "CUBLAS_STATUS_INTERNAL_ERROR";
  }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (stand_in::enter("cublasLtCreate") != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  return create(handle, 0);
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy<int>(handle); }

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows, uint64_t columns,
                                          int64_t step) {
  return create(layout, Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), step});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy<Layout>(layout); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t compute, cudaDataType) {
  return create(description, Description{compute, {}});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) { return destroy<Description>(description); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  return set(reinterpret_cast<Description*>(description)->values, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) { return create(preference, Attributes{}); }
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return destroy<Attributes>(preference); }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    size_t bytes) {
  return set(*reinterpret_cast<Attributes*>(preference), attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t, int most, cublasLtMatmulHeuristicResult_t* results,
                                              int* count) {
  *count = 0;
  if (stand_in::enter("cublasLtMatmulAlgoGetHeuristic") != cudaSuccess) return CUBLAS_STATUS_INTERNAL_ERROR;
  const Product product(of(description), of(a), of(b), of(d));
  if (!product.fits()) return CUBLAS_STATUS_INVALID_VALUE;
  if (product.is_refused()) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (Kind kind : kKinds) {
    if (*count == most || (kind == Kind::makes_not_a_number_zero && !product.relu)) continue;
    cublasLtMatmulHeuristicResult_t& result = results[(*count)++];
    result.algo.data[0] = static_cast<uint64_t>(kind);
    result.workspaceSize = kWorkspaceBytes;
    result.state = kind == Kind::refused ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void* value, size_t bytes,
                                                    size_t* written) {
  const uint32_t number = attribute == CUBLASLT_ALGO_CONFIG_ID ? static_cast<uint32_t>(algorithm->data[0]) : 1;
  if (bytes != sizeof number) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &number, bytes);
  *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void*, cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  const Product product(of(description), of(a_layout), of(b_layout), of(d_layout));
  const Kind kind = static_cast<Kind>(algorithm->data[0]);
  if (*static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!product.fits() || product.is_refused() || kind == Kind::refused) return CUBLAS_STATUS_INVALID_VALUE;
  if (kind == Kind::fails) return CUBLAS_STATUS_NOT_SUPPORTED;
  void* const bias = value<void*>(of(description), CUBLASLT_MATMUL_DESC_BIAS_POINTER, nullptr);
  if (const std::string fault = stand_in::fault_of(product.operands(a, b, bias, d, workspace, workspace_bytes)); !fault.empty()) {
    std::fprintf(stderr, "stand-in card: a product: %s\n", fault.c_str());
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const double cost = 2.0 * product.m * product.n * product.k / kFlopsOfMillisecond * (kind == Kind::fast ? 1 : 2) + 0.002;
  stand_in::Work work{[=] {
                        std::memset(workspace, 0xff, std::min<size_t>(workspace_bytes, kWorkspaceBytes));
                        product.compute(kind, a, b, bias, d);
                      },
                      cost};
  const auto number = [](auto x) { return reinterpret_cast<uint64_t>(x); };
  work.key = {algorithm->data[0], number(description), number(a), number(b), number(bias), number(d)};
  return stand_in::launch(stream, "cublasLtMatmul", std::move(work)) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                                       : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
