#include "addon/loss.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "addon/convert.hpp"
#include "addon/pool_work.hpp"
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

// The named arrays of a call, of just the lengths that they must have.
class Arrays {
 public:
  explicit Arrays(const Napi::Object& given) : given_(given) {}

  float* operator()(const char* field, int64_t count) {
    Napi::Float32Array array = floats_from(given_.Get(field), field);
    if (static_cast<int64_t>(array.ElementLength()) != count || count == 0)
      throw Error(kShapeMismatch, "Expected " + std::to_string(count) + " values for " + field + " but received " +
                                      std::to_string(array.ElementLength()) + " (a detached buffer has none)");
    kept_.push_back(Napi::Persistent(array.As<Napi::Object>()));
    return array.Data();
  }
  float* optional(const char* field, int64_t count) {
    return given_.Get(field).IsUndefined() ? nullptr : (*this)(field, count);
  }

  Napi::Value run(Napi::Env env, std::function<double()> compute) {
    auto* const work = new LossWork(env, std::move(kept_), std::move(compute));
    work->Queue();
    return work->promise();
  }

 private:
  Napi::Object given_;
  std::vector<Napi::ObjectReference> kept_;
};

// Of [n, c, h, w].
Maps maps_of(const Napi::Object& given) {
  const auto sizes = sizes_of(given, "shape");
  if (sizes.size() != 4) throw Error(kShapeMismatch, "Expected 4 dimensions but received " + std::to_string(sizes.size()));
  int64_t count = 1;  // products do not wrap
  for (const int64_t size : sizes) {
    if (size == 0 || size > kMostElements / count)
      throw Error(kShapeMismatch, "Expected 1 to " + std::to_string(kMostElements) + " elements of a shape");
    count *= size;
  }
  if (sizes[1] > kMostChannels)
    throw Error(kShapeMismatch, "Expected at most " + std::to_string(kMostChannels) + " channels but received " + std::to_string(sizes[1]));
  return {sizes[0], sizes[1], sizes[2] * sizes[3]};
}

}  // namespace

Napi::Value squared_error(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    Arrays arrays(given);
    const int64_t count = maps_of(given).count();
    const double factor = number_of(given, "factor");
    const float *x = arrays("x", count), *target = arrays("target", count);
    float* const gradient = arrays.optional("gradient", count);
    return arrays.run(info.Env(), [=] { return vggnet::squared_error(x, target, count, factor, gradient); });
  });
}

Napi::Value gram_matrices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    Arrays arrays(given);
    const Maps maps = maps_of(given);
    const double factor = number_of(given, "factor");
    const float* const x = arrays("x", maps.count());
    float* const gram = arrays("gram", maps.images * maps.channels * maps.channels);
    return arrays.run(info.Env(), [=] {
      vggnet::gram_matrices(x, maps, factor, gram);
      return 0.0;
    });
  });
}

Napi::Value gram_error(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    Arrays arrays(given);
    const Maps maps = maps_of(given);
    const double gram_factor = number_of(given, "gramFactor"), factor = number_of(given, "factor");
    const float *x = arrays("x", maps.count()), *target = arrays("target", maps.images * maps.channels * maps.channels);
    float* const gradient = arrays.optional("gradient", maps.count());
    return arrays.run(info.Env(), [=] { return vggnet::gram_error(x, target, maps, gram_factor, factor, gradient); });
  });
}

Napi::Value lpips_error(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    Arrays arrays(given);
    const Maps maps = maps_of(given);
    const double factor = number_of(given, "factor");
    const float *x = arrays("x", maps.count()), *y = arrays("target", maps.count()), *weights = arrays("weights", maps.channels);
    float *map = arrays.optional("map", maps.images * maps.positions), *gradient = arrays.optional("gradient", maps.count());
    return arrays.run(info.Env(), [=] { return vggnet::lpips_error(x, y, weights, maps, factor, map, gradient); });
  });
}

Napi::Value total_variation(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    Arrays arrays(given);
    const auto sizes = sizes_of(given, "shape");
    const Maps maps = maps_of(given);
    const double factor = number_of(given, "factor");
    const float* const x = arrays("x", maps.count());
    float* const gradient = arrays.optional("gradient", maps.count());
    return arrays.run(info.Env(), [=, planes = maps.images * maps.channels, h = sizes[2], w = sizes[3]] {
      return vggnet::total_variation(x, planes, h, w, factor, gradient);
    });
  });
}

}  // namespace vggnet::addon
