#include "addon/group.hpp"

#include <unistd.h>

#include <functional>
#include <memory>
#include <span>

#include "addon/convert.hpp"
#include "addon/environment.hpp"
#include "addon/pool_work.hpp"
#include "group/mpi.hpp"

namespace vggnet::addon {
namespace {

// Waits for other ranks, so not on JavaScript's thread.
template <class Answer>
class GroupWork final : public PoolWork {
 public:
  using Compute = std::function<Answer()>;
  using Convert = std::function<Napi::Value(Napi::Env, const Answer&)>;

  static Napi::Value start(Napi::Env env, Compute compute, Convert convert) {
    auto* const work = new GroupWork(env, std::move(compute), std::move(convert));
    const Napi::Promise promise = work->promise();
    work->Queue();
    return promise;
  }

 private:
  GroupWork(Napi::Env env, Compute compute, Convert convert)
      : PoolWork(env), compute_(std::move(compute)), convert_(std::move(convert)) {}
  void compute() override { answer_ = compute_(); }
  void resolve() override { deferred_.Resolve(convert_(Env(), answer_)); }

  Compute compute_;
  Convert convert_;
  Answer answer_{};
};

Napi::Value group_to_js(Napi::Env env, MpiGroup* const& group) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("rank", group->rank());
  result.Set("size", group->size());
  result.Set("hosts", to_js(env, group->hosts()));
  result.Set("library", group->library());
  result.Set("version", group->version());
  return result;
}

}  // namespace

Napi::Value open_group(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    const MpiFiles files = {names_of(given, "libraries"), text_of(given, "shimOpenmpi"), text_of(given, "shimMpich")};
    return GroupWork<MpiGroup*>::start(info.Env(), [files] { return &MpiGroup::open(files); }, group_to_js);
  });
}

Napi::Value gather_group(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return GroupWork<std::vector<std::string>>::start(
        info.Env(), [own = info[0].ToString().Utf8Value()] { return MpiGroup::opened().gather(own); },
        [](Napi::Env env, const std::vector<std::string>& messages) { return to_js(env, messages); });
  });
}

Napi::Value sum_group(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    Napi::Float32Array array = floats_from(info[0], "values");
    const auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(array.As<Napi::Object>()));
    const std::span values(array.Data(), array.ElementLength());
    return GroupWork<bool>::start(
        info.Env(),
        [values] {
          MpiGroup& group = MpiGroup::opened();
          group.begin_sum(values.data(), std::ssize(values));
          group.finish();
          return true;
        },
        [kept](Napi::Env env, bool) { return env.Undefined(); });
  });
}

Napi::Value fail_group(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object given = object_of(info);
    MpiGroup::opened().fail(Error(code_named(text_of(given, "code")), text_of(given, "message")));
    return info.Env().Undefined();
  });
}

Napi::Value group_traffic(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Traffic traffic = MpiGroup::opened().traffic();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("sums", static_cast<double>(traffic.sums));
    result.Set("bytes", static_cast<double>(traffic.bytes));
    result.Set("seconds", traffic.seconds);
    result.Set("waited", traffic.waited);
    return result;
  });
}

Napi::Value close_group(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto seconds = static_cast<double>(count_from(info[0], "seconds"));
    return GroupWork<bool>::start(
        info.Env(), [seconds] { return MpiGroup::opened().close(seconds); },
        [](Napi::Env env, bool closed) { return Napi::Boolean::New(env, closed); });
  });
}

Napi::Value quit(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { _exit(static_cast<int>(count_from(info[0], "exit code"))); });
}

}  // namespace vggnet::addon
