// Preloaded: records every call that changes a file or folder below VGGNET_RECORD_ROOT in the file VGGNET_RECORD_TO, in the order in
// which they took effect. A record is a line of words, and for a write its bytes. The calls of libuv, which Node uses.
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

namespace {

std::recursive_mutex mutex;
bool recorded[1 << 16];  // by descriptor: whether it is of a file below the root

template <class F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

const std::string& root() {
  static const std::string value = std::getenv("VGGNET_RECORD_ROOT");
  return value;
}

void put(const std::string& line, const void* bytes = nullptr, size_t size = 0) {
  static FILE* file = std::fopen(std::getenv("VGGNET_RECORD_TO"), "ae");
  std::fprintf(file, "%s\n", line.c_str());
  if (size > 0) std::fwrite(bytes, 1, size, file);
  std::fflush(file);
}

bool is_below(const std::string& path) { return path.compare(0, root().size() + 1, root() + "/") == 0; }

bool is_recorded(int fd) { return fd >= 0 && fd < (1 << 16) && recorded[fd]; }

std::string text(long long number) { return std::to_string(number); }

int opened(int fd, int flags) {
  if (fd < 0 || fd >= (1 << 16)) return fd;
  char path[PATH_MAX];
  const ssize_t length = readlink(("/proc/self/fd/" + text(fd)).c_str(), path, sizeof path);
  const std::string name(path, length > 0 ? length : 0);
  recorded[fd] = is_below(name) || name == root();
  if (recorded[fd]) put("open " + text(fd) + " " + text(flags & (O_CREAT | O_TRUNC)) + " " + name);
  return fd;
}

template <class Call>
ssize_t written(int fd, off_t position, Call call) {
  if (!is_recorded(fd)) return call();
  const std::lock_guard lock(mutex);
  const ssize_t size = call();
  if (size <= 0) return size;
  // read back, whatever buffers it came from
  const off_t at = position >= 0 ? position : lseek(fd, 0, SEEK_CUR) - size;
  std::string bytes(size, '\0');
  const int reading = next<int (*)(const char*, int, ...)>("open")(("/proc/self/fd/" + text(fd)).c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t got = pread(reading, bytes.data(), size, at);
  next<int (*)(int)>("close")(reading);
  if (got != size) put("unsupported: a write that cannot be read back");
  put("write " + text(fd) + " " + text(at) + " " + text(size), bytes.data(), size);
  return size;
}

template <class Call>
int changed(const std::string& line, bool isBelow, Call call) {
  if (!isBelow) return call();
  const std::lock_guard lock(mutex);
  const int result = call();
  if (result == 0) put(line);
  return result;
}

mode_t mode_in(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

}  // namespace

extern "C" {

#define OPEN(name)                                                                    \
  int name(const char* path, int flags, ...) {                                        \
    va_list rest;                                                                     \
    va_start(rest, flags);                                                            \
    const mode_t mode = mode_in(flags, rest);                                         \
    va_end(rest);                                                                     \
    const std::lock_guard lock(mutex);                                                \
    return opened(next<int (*)(const char*, int, ...)>(#name)(path, flags, mode), flags); \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  const std::lock_guard lock(mutex);
  if (is_recorded(fd)) recorded[fd] = false;
  return next<int (*)(int)>("close")(fd);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  return written(fd, -1, [&] { return next<ssize_t (*)(int, const void*, size_t)>("write")(fd, bytes, size); });
}
ssize_t writev(int fd, const iovec* parts, int count) {
  return written(fd, -1, [&] { return next<ssize_t (*)(int, const iovec*, int)>("writev")(fd, parts, count); });
}
#define PWRITE(name)                                                                                                    \
  ssize_t name(int fd, const void* bytes, size_t size, off_t at) {                                                      \
    return written(fd, at, [&] { return next<ssize_t (*)(int, const void*, size_t, off_t)>(#name)(fd, bytes, size, at); }); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)
#define PWRITEV(name)                                                                                                   \
  ssize_t name(int fd, const iovec* parts, int count, off_t at) {                                                       \
    return written(fd, at, [&] { return next<ssize_t (*)(int, const iovec*, int, off_t)>(#name)(fd, parts, count, at); }); \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define SYNC(name)                                                                                              \
  int name(int fd) {                                                                                            \
    return changed("sync " + text(fd), is_recorded(fd), [&] { return next<int (*)(int)>(#name)(fd); });           \
  }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name)                                                                                                    \
  int name(int fd, off_t size) {                                                                                          \
    return changed("truncate " + text(fd) + " " + text(size), is_recorded(fd),                                            \
                   [&] { return next<int (*)(int, off_t)>(#name)(fd, size); });                                           \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

// names in a record are separated by a tab
#define TWO_NAMES(name)                                                                              \
  int name(const char* from, const char* to) {                                                       \
    return changed(std::string(#name " ") + from + "\t" + to, is_below(to),                          \
                   [&] { return next<int (*)(const char*, const char*)>(#name)(from, to); });        \
  }
TWO_NAMES(rename)
TWO_NAMES(link)

#define ONE_NAME(name)                                                                    \
  int name(const char* path) {                                                            \
    return changed(std::string(#name " ") + path, is_below(path),                         \
                   [&] { return next<int (*)(const char*)>(#name)(path); });              \
  }
ONE_NAME(unlink)
ONE_NAME(rmdir)

int mkdir(const char* path, mode_t mode) {
  return changed(std::string("mkdir ") + path, is_below(path),
                 [&] { return next<int (*)(const char*, mode_t)>("mkdir")(path, mode); });
}

#define UNSUPPORTED(name)                                                                                       \
  ssize_t name(int from, off_t* at, int to, off_t* into, size_t size, unsigned flags) {                         \
    if (is_recorded(to)) put("unsupported: " #name);                                                            \
    return next<ssize_t (*)(int, off_t*, int, off_t*, size_t, unsigned)>(#name)(from, at, to, into, size, flags); \
  }
UNSUPPORTED(copy_file_range)

}  // extern "C"
