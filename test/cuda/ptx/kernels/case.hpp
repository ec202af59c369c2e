#pragma once
// The buffers of one case: what a kernel is given, made of numbers that lie where rounding and comparing go wrong.
#include "backend/cuda/element.hpp"
#include "backend/cuda/kernels/launch.hpp"

namespace vggnet::cuda {

// Numbers between -1 and 1; between -1000 and 1000; or of the first, and among them NaN, infinities, zeros of both signs,
// subnormal numbers and ties of bfloat16.
enum class Numbers { ordinary, wide, any };

struct Case : CUstream_st {
  explicit Case(ptx::Checker& checker) : CUstream_st{{checker, {}}} {}

  template <class T>
  const T* input(const char* name, const std::vector<T>& values) {
    return static_cast<const T*>(filled(name, ptx::Kind::bytes, true, values.data(), values.size() * sizeof(T)));
  }
  const void* input(const char* name, Element, int64_t count, Numbers = Numbers::any);
  const float* input(const char* name, int64_t count, Numbers numbers = Numbers::any) {
    return static_cast<const float*>(input(name, Element::float32, count, numbers));
  }
  // Not initialised.
  void* output(const char* name, ptx::Kind, int64_t bytes);
  void* output(const char* name, Element, int64_t count);
  // float32
  float* output(const char* name, int64_t count) { return static_cast<float*>(output(name, Element::float32, count)); }
  // An output that holds numbers at first.
  void* in_out(const char* name, Element, int64_t count, Numbers = Numbers::any);
  template <class T>
  T* in_out(const char* name, ptx::Kind kind, const T& value) {
    return static_cast<T*>(filled(name, kind, false, &value, sizeof value));
  }
  // From now on an input.
  const void* keep(const void* output) {
    memory.holding(output).constant = true;
    return output;
  }

 private:
  void* filled(const char* name, ptx::Kind, bool constant, const void* from, size_t bytes);
  void* numbers(const char* name, Element, bool constant, int64_t count, Numbers);

  uint32_t drawn_ = 0;
};

inline constexpr Element kElements[] = {Element::bfloat16, Element::float32};

// Every kernel over several shapes, by the files of the product's functions.
void run_elements(ptx::Checker&);
void run_layers(ptx::Checker&);
void run_training(ptx::Checker&);
void run_samples(ptx::Checker&);
void run_presence(ptx::Checker&);

}  // namespace vggnet::cuda
