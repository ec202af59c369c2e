#include "addon/cuda.hpp"

#include "addon/convert.hpp"
#include "addon/environment.hpp"
#include "backend/cuda_driver.hpp"
#include "backend/cuda_files.hpp"
#include "backend/cuda_loader.hpp"

namespace vggnet::addon {
namespace {

Napi::Object driver_row(Napi::Env env, const CudaDriver& driver) {
  Napi::Object row = Napi::Object::New(env);
  row.Set("path", driver.path);
  row.Set("version", driver.version);
  row.Set("cards", driver.cards);
  row.Set("obstacle", driver.obstacle);
  return row;
}

// 0 where the card cannot be asked: opening it gives the reason.
int64_t free_bytes(int index) {
  try {
    return load_cuda_library().free_bytes(index);
  } catch (const std::exception&) {
    return 0;
  }
}

// Free bytes are asked for when they are read: that makes a context on the card.
Napi::Object card_row(Napi::Env env, const CudaCard& card) {
  Napi::Object row = Napi::Object::New(env);
  row.Set("device", "cuda:" + std::to_string(card.index));
  row.Set("name", card.name);
  row.Set("architecture", card.architecture);
  row.Set("bytes", static_cast<double>(card.bytes));
  const auto ask = [index = card.index](const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(free_bytes(index)));
  };
  row.DefineProperty(Napi::PropertyDescriptor::Accessor(env, row, "freeBytes", ask, napi_enumerable));
  return row;
}

void report_library(Napi::Env env, Napi::Object& library, Napi::Array& cards, bool has_card) {
  try {
    const CudaLibrary& loaded = load_cuda_library();
    library.Set("buildId", loaded.build_id);
    library.Set("versions", loaded.versions);
    if (!has_card) return;
    for (const CudaCard& card : loaded.cards()) cards.Set(cards.Length(), card_row(env, card));
  } catch (const std::exception& error) {
    library.Set("obstacle", error.what());
  }
}

}  // namespace

Napi::Value set_cuda_locations(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Object given = object_of(info);
    vggnet::set_cuda_locations({text_of(given, "library"), text_of(given, "noLibrary"), names_of(given, "folders"),
                             text_of(given, "filesCure")});
    return info.Env().Undefined();
  });
}

Napi::Value find_cuda_files(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Napi::Array rows = Napi::Array::New(env);
    for (const CudaFile& file : vggnet::find_cuda_files(names_of(object_of(info), "folders"))) {
      Napi::Object row = Napi::Object::New(env);
      row.Set("name", file.name);
      row.Set("path", file.path);
      row.Set("needed", file.needed);
      rows.Set(rows.Length(), row);
    }
    return rows;
  });
}

Napi::Value cuda_report(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env), library = Napi::Object::New(env);
  Napi::Array cards = Napi::Array::New(env);
  const CudaDriver driver = find_cuda_driver();
  for (const char* field : {"buildId", "versions", "obstacle"}) library.Set(field, "");
  report_library(env, library, cards, driver.obstacle.empty());
  result.Set("driver", driver_row(env, driver));
  result.Set("library", library);
  result.Set("cards", cards);
  return result;
}

}  // namespace vggnet::addon
