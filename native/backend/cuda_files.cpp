#include "backend/cuda_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>

#include "tensor/shared_library.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCublasLt = "libcublasLt.so.13";
constexpr const char* kNvrtc = "libnvrtc.so.13";  // cuDNN compiles with it where it has no kernel ready
constexpr const char* kNvrtcBuiltins = "libnvrtc-builtins.so.13.";

// Each before those that need it. cuDNN aborts the process where it looks for one of them itself and finds none; opened
// beforehand it is there, and the same version of all.
constexpr std::array kCudnn = {"libcudnn_graph.so.9",
                               "libcudnn_ops.so.9",
                               "libcudnn_cnn.so.9",
                               "libcudnn_engines_precompiled.so.9",
                               "libcudnn_engines_runtime_compiled.so.9",
                               "libcudnn_heuristic.so.9",
                               "libcudnn.so.9"};

bool holds(const std::string& folder, const char* name) {
  std::error_code ignored;
  return fs::is_regular_file(fs::path(folder) / name, ignored);
}

// Where the process has it open already (another package may), otherwise empty. A second one beside it would mix.
std::string loaded_folder(const char* name) {
  void* library = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
  if (!library) return "";
  const std::string path = path_of(library);
  dlclose(library);
  return fs::path(path).parent_path();
}

std::vector<std::string> folders_with(std::span<const char* const> names, const std::vector<std::string>& folders) {
  for (const char* name : names)
    if (const std::string folder = loaded_folder(name); !folder.empty()) return {folder};
  return folders;
}

CudaFile find_alone(const char* name, bool needed, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders_with({&name, 1}, folders))
    if (holds(folder, name)) return {name, fs::path(folder) / name, needed};
  return {name, "", needed};
}

std::string cudnn_folder(const std::vector<std::string>& folders) {
  const auto held_by = [](const std::string& folder) {
    return std::ranges::count_if(kCudnn, [&](const char* name) { return holds(folder, name); });
  };
  std::string some;
  for (const std::string& folder : folders_with(kCudnn, folders)) {
    const auto held = held_by(folder);
    if (held == std::ssize(kCudnn)) return folder;
    if (held > 0 && some.empty()) some = folder;
  }
  return some;
}

// NVRTC looks for its builtins by name only, and the name ends in the minor version.
void open_nvrtc_builtins(const std::string& nvrtc) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(nvrtc).parent_path(), ignored))
    if (entry.path().filename().string().starts_with(kNvrtcBuiltins))
      dlopen(entry.path().c_str(), RTLD_NOW | RTLD_GLOBAL);
}

}  // namespace

std::vector<CudaFile> find_cuda_files(const std::vector<std::string>& folders) {
  std::vector<CudaFile> files = {find_alone(kCublasLt, true, folders), find_alone(kNvrtc, false, folders)};
  const std::string folder = cudnn_folder(folders);
  for (const char* name : kCudnn)
    files.push_back({name, !folder.empty() && holds(folder, name) ? fs::path(folder) / name : fs::path(), true});
  return files;
}

std::string missing_cuda_file(const std::vector<CudaFile>& files) {
  const auto is_cudnn = [](const CudaFile& file) { return file.name.starts_with("libcudnn"); };
  const auto present =
      std::ranges::find_if(files, [&](const auto& file) { return is_cudnn(file) && !file.path.empty(); });
  for (const CudaFile& file : files) {
    if (!file.needed || !file.path.empty()) continue;
    if (!is_cudnn(file)) return file.name + " (cuBLASLt 13) was not found";
    if (present == files.end()) return "cuDNN 9 was not found (libcudnn.so.9 and its parts)";
    return "cuDNN in " + fs::path(present->path).parent_path().string() + " is not complete: " + file.name +
           " is missing, and its parts must lie in one folder";
  }
  return "";
}

void open_cuda_files(const std::vector<CudaFile>& files) {
  for (const CudaFile& file : files) {
    if (file.path.empty()) continue;
    if (file.name == kNvrtc) open_nvrtc_builtins(file.path);
    if (!dlopen(file.path.c_str(), RTLD_NOW | RTLD_GLOBAL) && file.needed)
      throw Error(kDeviceUnavailable, std::string("a library of CUDA does not load: ") + dlerror());
  }
}

}  // namespace vggnet
