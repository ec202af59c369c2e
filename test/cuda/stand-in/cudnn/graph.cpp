#include <sstream>

#include "cudnn/engine.hpp"

namespace stand_in {
namespace {

using vggnet::Precision;
using vggnet::cuda::Direction;

int64_t uid(const Content& tensor) { return tensor.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID); }
std::vector<int64_t> dimensions(const Content& tensor) { return tensor.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS); }

[[noreturn]] void refuse(const std::string& what) { throw Refusal(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in has no engine for " + what); }

// n c h w in that order of dimensions, stored n h w c.
void expect_channels_last(const Content& tensor) {
  const auto d = dimensions(tensor), strides = tensor.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  if (d.size() != 4 || strides != std::vector<int64_t>{d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]})
    refuse("a tensor that is not n h w c");
}

// Follows the result from operation to operation.
class Reader {
 public:
  Graph read(const Contents& operations) {
    for (const auto& operation : operations) {
      switch (operation->type) {
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR: forward(*operation); break;
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR: input_gradient(*operation); break;
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: weight_gradient(*operation); break;
        case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: pointwise(*operation); break;
        case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR: reduction(*operation); break;
        default: refuse("operation " + std::to_string(operation->type));
      }
    }
    if (!result_ || result_->one<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL)) refuse("a graph without a result");
    graph_.uids[kResult] = uid(*result_);
    return graph_;
  }

 private:
  // x, or dx; weights, or dw; y, or dy
  void shape(Direction direction, const Content& x, const Content& weights, const Content& y, const Content& convolution) {
    for (const Content* tensor : {&x, &weights, &y}) expect_channels_last(*tensor);
    const auto in = dimensions(x), filter = dimensions(weights), out = dimensions(y);
    auto& s = graph_.shape;
    s.direction = direction;
    s.n = in[0], s.c = in[1], s.h = in[2], s.w = in[3];
    s.k = filter[0], s.kernel_h = filter[2], s.kernel_w = filter[3];
    const auto before = convolution.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
               after = convolution.all<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    const std::vector<int64_t> ones{1, 1};
    if (before != after || before[0] != before[1] || convolution.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES) != ones ||
        convolution.all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS) != ones)
      refuse("that padding, stride or dilation");
    s.padding = before[0];
    if (out != std::vector<int64_t>{s.n, s.k, s.out_h(), s.out_w()} || filter[1] != s.c) refuse("shapes that do not fit");
    const Content& read = direction == Direction::forward ? x : y;
    const bool half = read.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16;
    s.precision = half ? Precision::bf16 : Precision::float32;
  }

  void forward(const Content& o) {
    const Content &x = o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X),
                  &w = o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
    result_ = &o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    shape(Direction::forward, x, w, *result_, o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC));
    graph_.uids = {{kX, uid(x)}, {kWeights, uid(w)}};
  }

  void input_gradient(const Content& o) {
    const Content &dy = o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY),
                  &w = o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W);
    result_ = &o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
    shape(Direction::input_gradient, *result_, w, dy, o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC));
    graph_.uids = {{kDy, uid(dy)}, {kWeights, uid(w)}};
  }

  void weight_gradient(const Content& o) {
    const Content &dy = o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY),
                  &x = o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X);
    result_ = &o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW);
    shape(Direction::weight_gradient, x, *result_, dy, o.descriptor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC));
    graph_.uids = {{kDy, uid(dy)}, {kX, uid(x)}};
  }

  void pointwise(const Content& o) {
    const Content& how = o.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const auto mode = how.one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
    const bool forward = graph_.shape.direction == Direction::forward;
    if (mode == CUDNN_POINTWISE_RELU_BWD && graph_.shape.direction == Direction::input_gradient) {
      follow(o, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC);
      graph_.uids[kMask] = uid(o.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
      graph_.shape.mask = true;
      return;
    }
    follow(o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    if (mode == CUDNN_POINTWISE_IDENTITY) return;
    if (mode == CUDNN_POINTWISE_RELU_FWD && forward) {
      graph_.shape.relu = true;
      return;
    }
    if (mode != CUDNN_POINTWISE_ADD || !forward || graph_.shape.relu) refuse("pointwise mode " + std::to_string(mode));
    const Content& bias = o.descriptor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    if (dimensions(bias) != std::vector<int64_t>{1, graph_.shape.k, 1, 1}) refuse("a sum that is no bias");
    graph_.uids[kBias] = uid(bias);
    graph_.shape.bias = true;
  }

  void reduction(const Content& o) {
    const Content& how = o.descriptor(CUDNN_ATTR_OPERATION_REDUCTION_DESC);
    const Content& sums = o.descriptor(CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
    if (uid(o.descriptor(CUDNN_ATTR_OPERATION_REDUCTION_XDESC)) != uid(*result_) ||
        how.one<cudnnReduceTensorOp_t>(CUDNN_ATTR_REDUCTION_OPERATOR) != CUDNN_REDUCE_TENSOR_ADD ||
        dimensions(sums) != std::vector<int64_t>{1, graph_.shape.c, 1, 1})
      refuse("that reduction");
    graph_.uids[kSums] = uid(sums);
    graph_.shape.sums_gradient = true;
  }

  void follow(const Content& o, int from, int to) {
    if (!result_ || uid(o.descriptor(from)) != uid(*result_)) refuse("operations that do not follow one another");
    result_ = &o.descriptor(to);
  }

  Graph graph_;
  const Content* result_ = nullptr;
};

}  // namespace

Graph graph_of(const Contents& operations) { return Reader().read(operations); }

std::string text_of(const Graph& graph) {
  const auto& s = graph.shape;
  std::ostringstream text;
  for (int64_t number : {static_cast<int64_t>(s.direction), s.n, s.c, s.h, s.w, s.k, s.kernel_h, s.kernel_w, s.padding,
                         static_cast<int64_t>(s.precision), int64_t{s.bias}, int64_t{s.relu}, int64_t{s.mask},
                         int64_t{s.sums_gradient}})
    text << number << " ";
  for (const auto& [role, uid] : graph.uids) text << role << " " << uid << " ";
  return text.str();
}

Graph graph_in(const std::string& text) {
  std::istringstream numbers(text);
  Graph graph;
  auto& s = graph.shape;
  int64_t direction, precision, role, uid;
  numbers >> direction >> s.n >> s.c >> s.h >> s.w >> s.k >> s.kernel_h >> s.kernel_w >> s.padding >> precision >> s.bias >>
      s.relu >> s.mask >> s.sums_gradient;
  s.direction = static_cast<Direction>(direction);
  s.precision = static_cast<Precision>(precision);
  while (numbers >> role >> uid) graph.uids[static_cast<Role>(role)] = uid;
  if (graph.uids.empty()) throw Refusal(CUDNN_STATUS_BAD_PARAM, "a plan that the stand-in did not write");
  return graph;
}

}  // namespace stand_in
