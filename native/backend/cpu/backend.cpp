#include "backend/cpu/backend.hpp"

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

#include "backend/cpu/elements.hpp"
#include "backend/cpu/memory.hpp"
#include "backend/cpu/parameters.hpp"
#include "backend/cpu/sgd.hpp"
#include "backend/cpu/stages.hpp"
#include "tensor/error.hpp"

namespace vggnet::cpu {
namespace {

int usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return omp_get_num_procs();  // more CPUs than the set can hold
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : threads_(threads > 0 ? threads : usable_cpus()) {}

  std::string name() const override { return "cpu"; }
  std::string library() const override;
  std::string instruction_set() const override;
  std::string card_name() const override { return ""; }
  Precision precision() const override { return Precision::float32; }
  int threads() const override { return threads_; }
  bool checks_images() const override { return false; }
  bool prefers_known_shapes() const override { return false; }
  int64_t available_bytes() const override { return cpu::available_bytes(); }
  std::unique_ptr<Memory> allocate(int64_t bytes) override { return cpu::allocate(bytes); }
  void upload(const void* host, void* device, int64_t bytes) override { std::memcpy(device, host, bytes); }
  void download(const void* device, void* host, int64_t bytes) override { std::memcpy(host, device, bytes); }
  void clear(void* device, int64_t bytes) override { std::memset(device, 0, bytes); }
  std::unique_ptr<Memory> allocate_host(int64_t bytes) override { return cpu::allocate(bytes); }
  void send(const void* host, void* device, int64_t bytes) override { upload(host, device, bytes); }
  void fetch(const void* device, void* host, int64_t bytes) override { download(device, host, bytes); }
  // Everything has taken effect when it returns.
  uint64_t mark() override { return 0; }
  bool reached(uint64_t) override { return true; }
  void wait(uint64_t, const std::function<void()>&) override {}

  // More than a batch can have: oneDNN and our kernels count elements in 64 bits.
  int64_t most_images(const Shape&) const override { return std::numeric_limits<int32_t>::max(); }

  int64_t stored_bytes(const Shape& shape, Storage storage) const override {
    return stored_elements(shape, storage) * int64_t{sizeof(float)};
  }

  void read(const Tensor& tensor, float* nchw) override { unpack(tensor.data, tensor, nchw); }
  void unpack(const void* stored, const Tensor& as, float* nchw) override {
    use_threads();
    const auto* const floats = static_cast<const float*>(stored);
    if (is_plain(as.shape, as.storage)) return copy(floats, nchw, as.shape.count());
    cpu::unpack(floats, as.shape, nchw);
  }

  void write(const float* nchw, const Tensor& tensor) override {
    use_threads();
    if (is_plain(tensor.shape, tensor.storage)) return copy(nchw, tensor.floats(), tensor.shape.count());
    pack(nchw, tensor.shape, tensor.floats());
  }

  void inject(const float* nchw, const Tensor& masked_by, const Tensor& grad) override {
    VGGNET_ASSERT(!is_plain(grad.shape, grad.storage));
    use_threads();
    if (!masked_by) return add_packed(nchw, grad.shape, grad.floats());
    VGGNET_ASSERT(!is_plain(masked_by.shape, masked_by.storage));
    add_packed_masked(nchw, grad.shape, masked_by.floats(), grad.floats());
  }

  void mask(const Tensor& grad, const Tensor& by) override {
    VGGNET_ASSERT(!is_plain(grad.shape, grad.storage) && !is_plain(by.shape, by.storage));
    use_threads();
    cpu::mask(grad.floats(), by.floats(), 1, grad.floats(), stored_elements(grad.shape, grad.storage));
  }
  void rectify(const Tensor& tensor) override {
    use_threads();
    cpu::rectify(tensor.floats(), tensor.floats(), stored_elements(tensor.shape, tensor.storage));
  }

  bool finite(const Tensor& tensor) override {
    return finite(tensor.floats(), stored_elements(tensor.shape, tensor.storage));
  }
  bool finite(const float* values, int64_t count) override {
    use_threads();
    return all_finite(values, count);
  }

  int64_t parameter_bytes(int64_t count) const override { return count * int64_t{sizeof(float)}; }
  std::unique_ptr<Memory> allocate_parameters(int64_t count) override { return allocate(parameter_bytes(count)); }

  int64_t stored_count(const Parameter& parameter) const override { return cpu::stored_count(parameter); }
  void store(const Parameter& parameter, const float* logical, float* stored) override {
    use_threads();
    cpu::store(parameter, logical, stored);
  }
  void load(const Parameter& parameter, const float* stored, float* logical) override {
    use_threads();
    cpu::load(parameter, stored, logical);
  }

  std::unique_ptr<Stage> prepare(const Layer& layer, const Shape& input, const Context& context) override {
    use_threads();  // oneDNN divides the work and counts its scratch when a primitive is made
    return std::visit([&](const auto& kind) { return make_stage(kind, input, context); }, layer);
  }

  void update(const std::vector<Segment>& segments, const Arenas& arenas, const Feed& feed) override {
    use_threads();
    cpu::update(segments, arenas, *feed.controls, *feed.results);
  }

  void run(std::unique_ptr<Recording>&, const std::function<void()>& calls) override {
    use_threads();
    calls();
  }

  double milliseconds(const std::function<void()>& calls) override {
    const auto start = std::chrono::steady_clock::now();
    use_threads();
    calls();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  // OpenMP keeps the number for each calling thread; two networks may want different ones.
  void use_threads() const { omp_set_num_threads(threads_); }

  const int threads_;
};

std::string CpuBackend::library() const {
  const dnnl_version_t& version = *dnnl_version();
  return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch);
}

// oneDNN's message.
std::string CpuBackend::instruction_set() const {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "sse41";
    case dnnl::cpu_isa::avx: return "avx";
    case dnnl::cpu_isa::avx2: return "avx2";
    case dnnl::cpu_isa::avx2_vnni: return "avx2_vnni";
    case dnnl::cpu_isa::avx2_vnni_2: return "avx2_vnni_2";
    case dnnl::cpu_isa::avx512_core: return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_fp16: return "avx512_core_fp16";
    case dnnl::cpu_isa::avx512_core_amx: return "avx512_core_amx";
    case dnnl::cpu_isa::avx512_core_amx_fp16: return "avx512_core_amx_fp16";
    default: return "other";
  }
}

}  // namespace

std::unique_ptr<Backend> open(int threads) { return std::make_unique<CpuBackend>(threads); }

}  // namespace vggnet::cpu
