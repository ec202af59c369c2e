#include "backend/cpu/onednn.hpp"

namespace vggnet::cpu {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
constexpr auto kFloat = dnnl::memory::data_type::f32;

int64_t block() {
  static const int64_t value = [] {
    const int isa = static_cast<int>(dnnl::get_effective_cpu_isa());
    const int avx512 = static_cast<int>(dnnl::cpu_isa::avx512_core);
    return (isa & avx512) == avx512 ? 16 : 8;
  }();
  return value;
}

// Never destroyed: a stage may be freed after the statics of this library.
dnnl::engine& engine() {
  static dnnl::engine& value = *checked("engine", [] { return new dnnl::engine(dnnl::engine::kind::cpu, 0); });
  return value;
}

dnnl::stream& stream() {
  thread_local dnnl::stream value = checked("stream", [] { return dnnl::stream(engine()); });
  return value;
}

Desc blocked_images(int64_t n, int64_t channels, int64_t h, int64_t w) {
  return checked("memory::desc", [&] {
    return Desc({n, channels, h, w}, kFloat, block() == 16 ? Tag::nChw16c : Tag::nChw8c);
  });
}

Desc plain_images(int64_t n, int64_t channels, int64_t h, int64_t w) {
  return checked("memory::desc", [&] { return Desc({n, channels, h, w}, kFloat, Tag::nchw); });
}

Desc floats_desc(int64_t count) {
  return checked("memory::desc", [&] { return Desc({count}, kFloat, Tag::a); });
}

Desc bytes_desc(int64_t bytes) {
  return checked("memory::desc", [&] { return Desc({bytes}, dnnl::memory::data_type::u8, Tag::a); });
}

dnnl::memory view(const Desc& desc, const void* data) {
  return checked("memory", [&] { return dnnl::memory(desc, engine(), const_cast<void*>(data)); });
}

}  // namespace vggnet::cpu
