#include "addon/loss.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "addon/convert.hpp"
#include "addon/pool_work.hpp"
#include "loss/linear.hpp"
#include "loss/loss.hpp"

namespace vggnet::addon {
namespace {

constexpr int64_t kMostChannels = 1 << 24;

// Resolves with the loss that `loss_of` returns.
class LossWork final : public PoolWork {
 public:
  LossWork(Napi::Env env, std::vector<Napi::ObjectReference> kept, std::function<double()> loss_of)
      : PoolWork(env), kept_(std::move(kept)), loss_of_(std::move(loss_of)) {}

 private:
  void compute() override { loss_ = loss_of_(); }
  void resolve() override { deferred_.Resolve(Napi::Number::New(Env(), loss_)); }

  std::vector<Napi::ObjectReference> kept_;  // arrays, until the promise settles
  std::function<double()> loss_of_;
  double loss_ = 0;
};

Shape shape_of(const Napi::Object& given) {
  const auto sizes = sizes_of(given, "shape");
  if (sizes.size() != 4) throw Error(kShapeMismatch, "Expected 4 dimensions but received " + std::to_string(sizes.size()));
  const Shape shape = {sizes[0], sizes[1], sizes[2], sizes[3]};
  if (product_within(kMostElements, {shape.n, shape.c, shape.h, shape.w}).value_or(0) == 0)
    throw Error(kShapeMismatch, "Expected 1 to " + std::to_string(kMostElements) + " elements of a shape");
  if (shape.c > kMostChannels)
    throw Error(kShapeMismatch, "Expected at most " + std::to_string(kMostChannels) + " channels but received " + std::to_string(shape.c));
  return shape;
}

// The fields of a call: its shape, factor and x, and other arrays by name, each of just the length that it must have.
struct LossCall {
  const Napi::Object given;
  std::vector<Napi::ObjectReference> kept;  // arrays
  const Shape shape;
  const double factor;
  const float* const x;

  explicit LossCall(const Napi::CallbackInfo& info)
      : given(object_of(info)), shape(shape_of(given)), factor(number_of(given, "factor")), x(array("x", shape.count())) {}

  float* array(const char* field, int64_t count) { return data_of(floats_from(given.Get(field), field), field, count); }
  double* doubles(const char* field, int64_t count) { return data_of(doubles_from(given.Get(field), field), field, count); }

  template <class T>
  T* data_of(Napi::TypedArrayOf<T> array, const char* field, int64_t count) {
    if (static_cast<int64_t>(array.ElementLength()) != count || count == 0)
      throw Error(kShapeMismatch, "Expected " + std::to_string(count) + " values for " + field + " but received " +
                                      std::to_string(array.ElementLength()) + " (a detached buffer has none)");
    kept.push_back(Napi::Persistent(array.template As<Napi::Object>()));
    return array.Data();
  }
  float* optional(const char* field, int64_t count) {
    return given.Get(field).IsUndefined() ? nullptr : array(field, count);
  }
  float* gradient() { return optional("gradient", shape.count()); }

  Napi::Value run(std::function<double()> loss_of) {
    auto* const work = new LossWork(given.Env(), std::move(kept), std::move(loss_of));
    work->Queue();
    return work->promise();
  }
};

// What both products of a linear classifier read of their call, whose x has shape n, c, 1, 1: indices of rows of x, and the
// number of outputs.
struct LinearCall {
  const int64_t count, outputs, columns;
  const int32_t* const rows;

  explicit LinearCall(LossCall& call)
      : count(count_of(call.given, "count")), outputs(count_of(call.given, "outputs")), columns(call.shape.per_image()),
        rows(call.data_of(integers_from(call.given.Get("rows"), "rows"), "rows", count)) {
    if (!product_within(kMostElements, {outputs, std::max(count, columns)}))
      throw Error(kShapeMismatch, "Expected at most " + std::to_string(kMostElements) + " values");
    if (!std::all_of(rows, rows + count, [&](int32_t row) { return row >= 0 && row < call.shape.n; }))
      throw Error(kInvalidArgument, "Expected rows from 0 to " + std::to_string(call.shape.n - 1));
  }
};

// Runs what body(call) returns.
template <class Body>
Napi::Value run(const Napi::CallbackInfo& info, Body body) {
  return guarded(info.Env(), [&] {
    LossCall call(info);
    return call.run(body(call));
  });
}

}  // namespace

Napi::Value squared_error(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    const float* const target = call.array("target", call.shape.count());
    return [x = call.x, target, count = call.shape.count(), factor = call.factor, gradient = call.gradient()] {
      return vggnet::squared_error(x, target, count, factor, gradient);
    };
  });
}

Napi::Value gram_matrices(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    float* const gram = call.array("gram", call.shape.n * call.shape.c * call.shape.c);
    return [x = call.x, shape = call.shape, factor = call.factor, gram] {
      vggnet::gram_matrices(x, shape, factor, gram);
      return 0.0;
    };
  });
}

Napi::Value gram_error(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    const double gram_factor = number_of(call.given, "gramFactor");
    const float* const target = call.array("target", call.shape.n * call.shape.c * call.shape.c);
    return [x = call.x, target, shape = call.shape, gram_factor, factor = call.factor, gradient = call.gradient()] {
      return vggnet::gram_error(x, target, shape, gram_factor, factor, gradient);
    };
  });
}

Napi::Value lpips_error(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    const Shape& shape = call.shape;
    const float *const y = call.array("target", shape.count()), *const weights = call.array("weights", shape.c);
    float* const map = call.optional("map", shape.n * shape.h * shape.w);
    return [x = call.x, y, weights, shape = call.shape, factor = call.factor, map, gradient = call.gradient()] {
      return vggnet::lpips_error(x, y, weights, shape, factor, map, gradient);
    };
  });
}

Napi::Value total_variation(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    return [x = call.x, shape = call.shape, factor = call.factor, gradient = call.gradient()] {
      return vggnet::total_variation(x, shape, factor, gradient);
    };
  });
}

Napi::Value row_products(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    const LinearCall linear(call);
    const double* const weights = call.doubles("weights", linear.outputs * linear.columns);
    double* const values = call.doubles("values", linear.count * linear.outputs);
    return [x = call.x, linear, weights, values] {
      vggnet::row_products(x, linear.rows, linear.count, linear.columns, weights, linear.outputs, values);
      return 0.0;
    };
  });
}

Napi::Value column_products(const Napi::CallbackInfo& info) {
  return run(info, [](LossCall& call) {
    const LinearCall linear(call);
    const double* const values = call.doubles("values", linear.count * linear.outputs);
    double* const sums = call.doubles("sums", linear.outputs * linear.columns);
    return [x = call.x, linear, values, sums] {
      vggnet::column_products(x, linear.rows, linear.count, linear.columns, values, linear.outputs, sums);
      return 0.0;
    };
  });
}

}  // namespace vggnet::addon
