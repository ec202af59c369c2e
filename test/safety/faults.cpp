// Preloaded, it makes a call of the C library on a file below VGGNET_FAULTY_FOLDER fail, or read or write less than it was
// asked to: the n-th of its kind, as `Control` says. libuv makes these calls on its threads.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>

#include "control.hpp"

namespace {

// as `kinds` of faulty.ts
enum Kind { kRead, kWrite, kOpen, kCreate, kSync, kRename, kLink, kMkdir, kTruncate, kClose, kRemove, kCopy, kStat, kList, kAccess };

bool is_watched(const char* path) {
  static const char* const folder = getenv("VGGNET_FAULTY_FOLDER");
  static const size_t length = folder == nullptr ? 0 : strlen(folder);
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool is_watched(int file) {
  char link[32], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length <= 0) return false;
  path[length] = '\0';
  return is_watched(path);
}

enum class Fate { normal, failed, shortened };

// Sets errno for a call that fails.
template <class Path>
Fate fate_of(Kind kind, Path path) {
  const int before = errno;
  Control* shared = control();
  const bool watched = shared != nullptr && is_watched(path);
  errno = before;
  if (!watched || !fails(*shared, kind)) return Fate::normal;
  if (shared->fault == 0) return Fate::shortened;
  errno = shared->fault;
  return Fate::failed;
}

size_t half(size_t bytes) { return std::max<size_t>(bytes / 2, std::min<size_t>(bytes, 1)); }

// A call with a buffer: real(bytes).
template <class Real>
ssize_t transferred(Kind kind, int file, size_t bytes, const Real& real) {
  const Fate fate = fate_of(kind, file);
  if (fate == Fate::failed) return -1;
  return real(fate == Fate::shortened ? half(bytes) : bytes);
}

// A call with several buffers: real(buffers, count).
template <class Real>
ssize_t transferred(Kind kind, int file, const iovec* buffers, int count, const Real& real) {
  const Fate fate = fate_of(kind, file);
  if (fate == Fate::failed) return -1;
  if (fate == Fate::normal || count == 0) return real(buffers, count);
  const iovec first{buffers->iov_base, half(buffers->iov_len)};
  return real(&first, 1);
}

}  // namespace

#define REAL(name) next(real_##name, #name)
#define DECLARE(type, name, ...) static type (*real_##name)(__VA_ARGS__) = nullptr

extern "C" {

DECLARE(ssize_t, read, int, void*, size_t);
ssize_t read(int file, void* data, size_t bytes) {
  return transferred(kRead, file, bytes, [&](size_t wanted) { return REAL(read)(file, data, wanted); });
}

DECLARE(ssize_t, pread64, int, void*, size_t, off64_t);
ssize_t pread64(int file, void* data, size_t bytes, off64_t at) {
  return transferred(kRead, file, bytes, [&](size_t wanted) { return REAL(pread64)(file, data, wanted, at); });
}

DECLARE(ssize_t, readv, int, const iovec*, int);
ssize_t readv(int file, const iovec* buffers, int count) {
  return transferred(kRead, file, buffers, count, [&](const iovec* some, int n) { return REAL(readv)(file, some, n); });
}

DECLARE(ssize_t, preadv64, int, const iovec*, int, off64_t);
ssize_t preadv64(int file, const iovec* buffers, int count, off64_t at) {
  return transferred(kRead, file, buffers, count, [&](const iovec* some, int n) { return REAL(preadv64)(file, some, n, at); });
}

DECLARE(ssize_t, write, int, const void*, size_t);
ssize_t write(int file, const void* data, size_t bytes) {
  return transferred(kWrite, file, bytes, [&](size_t wanted) { return REAL(write)(file, data, wanted); });
}

DECLARE(ssize_t, pwrite64, int, const void*, size_t, off64_t);
ssize_t pwrite64(int file, const void* data, size_t bytes, off64_t at) {
  return transferred(kWrite, file, bytes, [&](size_t wanted) { return REAL(pwrite64)(file, data, wanted, at); });
}

DECLARE(ssize_t, writev, int, const iovec*, int);
ssize_t writev(int file, const iovec* buffers, int count) {
  return transferred(kWrite, file, buffers, count, [&](const iovec* some, int n) { return REAL(writev)(file, some, n); });
}

DECLARE(ssize_t, pwritev64, int, const iovec*, int, off64_t);
ssize_t pwritev64(int file, const iovec* buffers, int count, off64_t at) {
  return transferred(kWrite, file, buffers, count, [&](const iovec* some, int n) { return REAL(pwritev64)(file, some, n, at); });
}

DECLARE(int, open64, const char*, int, ...);
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(rest, int) : 0;
  va_end(rest);
  if (fate_of((flags & O_CREAT) != 0 ? kCreate : kOpen, path) == Fate::failed) return -1;
  return REAL(open64)(path, flags, mode);
}

DECLARE(int, close, int);
int close(int file) {
  const Fate fate = fate_of(kClose, file);
  const int failure = errno, result = REAL(close)(file);
  if (fate != Fate::failed) return result;
  errno = failure;  // the file is closed all the same
  return -1;
}

DECLARE(DIR*, opendir, const char*);
DIR* opendir(const char* path) {
  return fate_of(kList, path) == Fate::failed ? nullptr : REAL(opendir)(path);
}

using Filter = int (*)(const dirent64*);
using Order = int (*)(const dirent64**, const dirent64**);
DECLARE(int, scandir64, const char*, dirent64***, Filter, Order);
int scandir64(const char* path, dirent64*** list, Filter filter, Order order) {
  return fate_of(kList, path) == Fate::failed ? -1 : REAL(scandir64)(path, list, filter, order);
}

// A call without a buffer, on a path or an open file.
#define CALL(kind, name, checked, parameters, arguments) \
  static int(*real_##name) parameters = nullptr;         \
  int name parameters {                                  \
    if (fate_of(kind, checked) == Fate::failed) return -1; \
    return REAL(name) arguments;                         \
  }

CALL(kSync, fsync, file, (int file), (file))
CALL(kSync, fdatasync, file, (int file), (file))
CALL(kTruncate, ftruncate64, file, (int file, off64_t size), (file, size))
CALL(kAccess, access, path, (const char* path, int mode), (path, mode))
CALL(kRename, rename, from, (const char* from, const char* to), (from, to))
CALL(kLink, link, from, (const char* from, const char* to), (from, to))
CALL(kMkdir, mkdir, path, (const char* path, mode_t mode), (path, mode))
CALL(kRemove, unlink, path, (const char* path), (path))
CALL(kRemove, rmdir, path, (const char* path), (path))

DECLARE(ssize_t, sendfile64, int, int, off64_t*, size_t);
ssize_t sendfile64(int to, int from, off64_t* at, size_t bytes) {
  return transferred(kCopy, to, bytes, [&](size_t wanted) { return REAL(sendfile64)(to, from, at, wanted); });
}

// libuv calls statx and copy_file_range by their numbers.
DECLARE(long, syscall, long, ...);
long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (long& argument : a) argument = va_arg(rest, long);
  va_end(rest);
  const auto real = [&] { return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  if (number == SYS_statx) {
    const auto* path = reinterpret_cast<const char*>(a[1]);
    const bool is_open = path != nullptr && *path == '\0';
    const Fate fate = is_open ? fate_of(kStat, static_cast<int>(a[0])) : fate_of(kStat, path);
    return fate == Fate::failed ? -1 : real();
  }
  if (number == SYS_copy_file_range) {
    return transferred(kCopy, static_cast<int>(a[2]), static_cast<size_t>(a[4]), [&](size_t wanted) {
      a[4] = static_cast<long>(wanted);
      return real();
    });
  }
  return real();
}

}  // extern "C"
