// Compiled once against each MPI's mpi.h, and linked with none: its symbols come from the MPI library that is loaded already.
#include <mpi.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "group/shim/functions.hpp"

namespace {

MPI_Comm group = MPI_COMM_NULL;  // apart from what other code of the process sends

std::atomic<bool> core_is_free = false;

// Tests as often as it can where the network only waits for it, for a while; otherwise it leaves the core to the network.
int completed(MPI_Request* request) {
  using namespace std::chrono_literals;
  std::chrono::nanoseconds pause = 1us;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    int done = 0;
    const int error = MPI_Test(request, &done, MPI_STATUS_IGNORE);
    if (error != MPI_SUCCESS || done) return error;
    if (core_is_free && std::chrono::steady_clock::now() - start < 50ms) {
      std::this_thread::yield();
      continue;
    }
    std::this_thread::sleep_for(pause);
    if (pause < 100us) pause += pause / 2;
  }
}

void set_core_is_free(bool is_free) { core_is_free = is_free; }

int initialise(int* rank, int* size) {
  int provided = 0, initialised = 0;
  int error = MPI_Initialized(&initialised);
  if (error == MPI_SUCCESS && !initialised) error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  if (error == MPI_SUCCESS) error = MPI_Comm_dup(MPI_COMM_WORLD, &group);
  if (error == MPI_SUCCESS) error = MPI_Comm_set_errhandler(group, MPI_ERRORS_RETURN);
  if (error == MPI_SUCCESS) error = MPI_Comm_rank(group, rank);
  if (error == MPI_SUCCESS) error = MPI_Comm_size(group, size);
  return error;
}

int exchange(const float* send, float* receive, int count) {
  MPI_Request request;
  const int error = MPI_Ialltoall(send, count, MPI_FLOAT, receive, count, MPI_FLOAT, group, &request);
  return error == MPI_SUCCESS ? completed(&request) : error;
}

int gather(const void* send, void* receive, int bytes) {
  MPI_Request request;
  const int error = MPI_Iallgather(send, bytes, MPI_BYTE, receive, bytes, MPI_BYTE, group, &request);
  return error == MPI_SUCCESS ? completed(&request) : error;
}

int finalise() {
  MPI_Comm_free(&group);
  return MPI_Finalize();
}

int copy_text(int error, const char* from, char* text, int size) {
  text[0] = '\0';
  if (error == MPI_SUCCESS) std::strncat(text, from, static_cast<size_t>(size) - 1);
  return error;
}

int error_text(int code, char* text, int size) {
  char words[MPI_MAX_ERROR_STRING + 1] = "";
  int length = 0;
  return copy_text(MPI_Error_string(code, words, &length), words, text, size);
}

int library_text(char* text, int size) {
  char words[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "";
  int length = 0;
  return copy_text(MPI_Get_library_version(words, &length), words, text, size);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const VggnetMpi* vggnet_mpi() {
  static const VggnetMpi table = {kMpiTable, initialise, set_core_is_free, exchange, gather, finalise, error_text, library_text};
  return &table;
}
