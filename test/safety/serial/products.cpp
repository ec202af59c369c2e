// y[n, o, p, q] = b[o] + sum over c, i, j of w[o, c, i, j] x[n, c, p + i - padding, q + j - padding]
#include <algorithm>

#include "stages.hpp"

namespace vggnet::serial {
namespace {

struct Product {
  int64_t outputs, kernel_h, kernel_w, padding;
  bool rectifies, pools;
  float dropout;
  uint32_t stream;
};

class ProductLoops final : public Loops {
 public:
  ProductLoops(const Product& product, const Shape& input, const Context& context)
      : product_(product), x_(input), context_(context),
        y_{input.n, product.outputs, input.h + 2 * product.padding - product.kernel_h + 1,
           input.w + 2 * product.padding - product.kernel_w + 1} {
    requirements_.input_in_backward = context.training;
    requirements_.algorithm = "loops";
    if (!product.pools) return;
    requirements_.workspace_bytes = y_.count() * int64_t{sizeof(float)};
    if (context.training) requirements_.saved = {{"index", y_.n * y_.c * (y_.h / 2) * (y_.w / 2)}};
  }

  void forward(const Binding& binding) const override {
    float* y = product_.pools ? static_cast<float*>(binding.workspace) : binding.output.floats();
    for (int64_t n = 0, at = 0; n < y_.n; ++n)
      for (int64_t o = 0; o < y_.c; ++o)
        for (int64_t p = 0; p < y_.h; ++p)
          for (int64_t q = 0; q < y_.w; ++q, ++at) {
            float sum = binding.bias[o];
            for_each_tap(n, o, p, q, [&](int64_t w, int64_t x) { sum += binding.weight[w] * binding.input.floats()[x]; });
            y[at] = product_.rectifies ? std::max(sum, 0.0f) : sum;
          }
    if (product_.dropout > 0)
      drop(product_.dropout, product_.stream, *binding.feed.controls, y_.n, y_.per_image(), y);
    if (product_.pools)
      pool(y, y_.n * y_.c, y_.h, y_.w, binding.output.floats(),
           binding.saved.empty() ? nullptr : static_cast<uint8_t*>(binding.saved[0]));
  }

  void backward(const Binding& binding, Gradients mode) const override {
    const float* dy = binding.grad_output.floats();
    if (product_.pools) {
      auto* whole = static_cast<float*>(binding.workspace);
      unpool(dy, static_cast<uint8_t*>(binding.saved[0]), y_.n * y_.c, y_.h, y_.w, whole);
      dy = whole;
    }
    float *dw = binding.grad_weight, *db = binding.grad_bias, *dx = binding.grad_input.floats();
    if (mode == Gradients::overwrite) {
      if (dw) std::fill_n(dw, y_.c * x_.c * product_.kernel_h * product_.kernel_w, 0.0f);
      if (db) std::fill_n(db, y_.c, 0.0f);
    }
    if (dx) std::fill_n(dx, x_.count(), 0.0f);
    for (int64_t n = 0, at = 0; n < y_.n; ++n)
      for (int64_t o = 0; o < y_.c; ++o)
        for (int64_t p = 0; p < y_.h; ++p)
          for (int64_t q = 0; q < y_.w; ++q, ++at) {
            if (db) db[o] += dy[at];
            for_each_tap(n, o, p, q, [&](int64_t w, int64_t x) {
              if (dw) dw[w] += dy[at] * binding.input.floats()[x];
              if (dx) dx[x] += dy[at] * binding.weight[w];
            });
          }
    mask_input(context_, binding);
  }

 private:
  // visit(index of a weight, index of the input that it is multiplied with)
  template <class Visit>
  void for_each_tap(int64_t n, int64_t o, int64_t p, int64_t q, const Visit& visit) const {
    for (int64_t c = 0; c < x_.c; ++c)
      for (int64_t i = 0; i < product_.kernel_h; ++i)
        for (int64_t j = 0; j < product_.kernel_w; ++j) {
          const int64_t row = p + i - product_.padding, column = q + j - product_.padding;
          if (row < 0 || row >= x_.h || column < 0 || column >= x_.w) continue;
          visit(((o * x_.c + c) * product_.kernel_h + i) * product_.kernel_w + j,
                ((n * x_.c + c) * x_.h + row) * x_.w + column);
        }
  }

  const Product product_;
  const Shape x_;
  const Context context_;
  const Shape y_;  // before the pool
};

Product product_of(const Convolution& layer) {
  return {layer.outputs, layer.kernel, layer.kernel, layer.kernel / 2, !layer.relu.empty(), false, 0, 0};
}

}  // namespace

std::shared_ptr<const Loops> make_product(const Convolution& layer, const Shape& input, const Context& context) {
  return std::make_shared<ProductLoops>(product_of(layer), input, context);
}

std::shared_ptr<const Loops> make_product(const ConvolutionPool& layer, const Shape& input, const Context& context) {
  Product product = product_of(layer.convolution);
  product.pools = true;
  return std::make_shared<ProductLoops>(product, input, context);
}

std::shared_ptr<const Loops> make_product(const Linear& layer, const Shape& input, const Context& context) {
  const float dropout = context.training ? layer.dropout : 0;
  return std::make_shared<ProductLoops>(
      Product{layer.outputs, layer.window_h, layer.window_w, 0, !layer.relu.empty(), false, dropout, layer.stream}, input,
      context);
}

}  // namespace vggnet::serial
