#include "backend/cpu/convolution_pass.hpp"

#include <algorithm>

namespace vggnet::cpu {
namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using dnnl::algorithm;

constexpr auto kFloat = dnnl::memory::data_type::f32;

Tag weights_tag(const ConvolutionProblem& problem, Direction direction) {
  const bool wide = block() == 16;
  if (problem.plain) return wide ? Tag::Ohwi16o : Tag::Ohwi8o;
  // The one pass that wants the blocks the other way round; its weights are reordered when they have changed.
  if (direction == Direction::input_gradient) {
    if (!wide) return Tag::OIhw8o8i;
    return problem.kernel == 1 ? Tag::IOhw16o16i : Tag::OIhw16o16i;
  }
  return wide ? Tag::OIhw16i16o : Tag::OIhw8i8o;
}

// Pixels of a piece, few enough that the next pass over it (a ReLU, a pool) finds it in or near the cache. The weight gradient
// instead gains from every image that shares its accumulators.
int64_t pixel_limit(const ConvolutionProblem& problem, Direction direction) {
  if (direction == Direction::weight_gradient && problem.h * problem.w <= 56 * 56) return problem.n * 56 * 56;
  return (direction == Direction::forward ? 1 : 2) * 224 * 224;
}

}  // namespace

ConvolutionPass::ConvolutionPass(const ConvolutionProblem& problem, Direction direction, int64_t limit)
    : problem_(problem), direction_(direction) {
  const int64_t pixels = std::max<int64_t>(1, pixel_limit(problem, direction) / (problem.h * problem.w));
  piece_ = std::min({problem.n, limit, pixels});
  weights_ = checked("memory::desc", [&] {
    return Desc({problem.outputs, problem.channels, problem.kernel, problem.kernel}, kFloat,
                weights_tag(problem, direction));
  });
}

Desc ConvolutionPass::x_desc(int64_t images) const {
  return (problem_.plain ? plain_images : blocked_images)(images, problem_.channels, problem_.h, problem_.w);
}

Desc ConvolutionPass::y_desc(int64_t images) const {
  return blocked_images(images, problem_.outputs, problem_.h, problem_.w);
}

dnnl::primitive_desc ConvolutionPass::describe(int64_t images) const {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::memory::dims size = {problem_.outputs, problem_.channels, problem_.kernel, problem_.kernel};
  const dnnl::memory::dims stride = {1, 1}, padding = {problem_.kernel / 2, problem_.kernel / 2};
  const Desc x = x_desc(images), y = y_desc(images), w(size, kFloat, weights_tag(problem_, direction_));
  const Desc bias = problem_.bias ? Desc({problem_.outputs}, kFloat, Tag::a) : Desc();
  const auto kind = dnnl::prop_kind::forward_training;
  const auto direct = algorithm::convolution_direct;
  if (direction_ == Direction::forward)
    return dnnl::convolution_forward::primitive_desc(engine(), kind, direct, x, w, bias, y, stride, padding, padding,
                                                     attributes);
  const dnnl::convolution_forward::primitive_desc hint(engine(), kind, direct, x,
                                                       Desc(size, kFloat, Tag::any), bias, y, stride, padding, padding);
  if (direction_ == Direction::input_gradient)
    return dnnl::convolution_backward_data::primitive_desc(engine(), direct, x, w, y, stride, padding, padding, hint,
                                                           attributes);
  return dnnl::convolution_backward_weights::primitive_desc(engine(), direct, x, w, bias, y, stride, padding, padding,
                                                            hint, attributes);
}

void ConvolutionPass::prepare(int64_t images) {
  if (prepared_.contains(images)) return;
  checked("convolution", [&] {
    const dnnl::primitive_desc described = describe(images);
    const int64_t scratch = static_cast<int64_t>(described.scratchpad_desc().get_size());
    prepared_[images] = {dnnl::primitive(described), x_desc(images), y_desc(images), scratch};
    scratch_bytes_ = std::max(scratch_bytes_, scratch);
  });
}

void ConvolutionPass::prepare_range(int64_t images) {
  if (images >= piece_) prepare(piece_);
  if (images % piece_ != 0) prepare(images % piece_);
}

ConvolutionPass::Arguments ConvolutionPass::arguments(int64_t images, const float* x, const float* y,
                                                      void* scratch) const {
  const Prepared& prepared = prepared_.at(images);
  const bool x_is_gradient = direction_ == Direction::input_gradient, y_is_gradient = direction_ != Direction::forward;
  return {{x_is_gradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, view(prepared.x, x)},
          {y_is_gradient ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, view(prepared.y, y)},
          {DNNL_ARG_SCRATCHPAD, view(bytes_desc(prepared.scratch_bytes), scratch)}};
}

void ConvolutionPass::run(int64_t images, const Arguments& arguments) const {
  checked("convolution", [&] {
    prepared_.at(images).primitive.execute(stream(), arguments);
    stream().wait();
  });
}

}  // namespace vggnet::cpu
