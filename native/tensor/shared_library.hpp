#pragma once
// What dlopen gives, with types.
#include <dlfcn.h>
#include <link.h>

#include <string>

namespace vggnet {

template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

inline std::string path_of(void* library) {
  const link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map->l_name ? map->l_name : "";
}

}  // namespace vggnet
