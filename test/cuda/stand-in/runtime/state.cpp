#include "runtime/state.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

namespace stand_in {
namespace {

constexpr int kMostCards = 16;

struct Wish {
  std::string call;
  int64_t at;
  cudaError_t error;
};

// "cudaMalloc:5:2,work:100:700"
std::vector<Wish> wishes_in(const char* text) {
  std::vector<Wish> wishes;
  std::istringstream stream(text ? text : "");
  for (std::string wish; std::getline(stream, wish, ',');) {
    const size_t first = wish.find(':'), second = wish.find(':', first + 1);
    if (second == std::string::npos) continue;
    wishes.push_back({wish.substr(0, first), std::stoll(wish.substr(first + 1)),
                      static_cast<cudaError_t>(std::stoi(wish.substr(second + 1)))});
  }
  return wishes;
}

struct State {
  const std::vector<Wish> wishes = wishes_in(std::getenv("VGGNET_STAND_IN_FAIL"));
  std::mutex mutex;
  std::map<std::string, int64_t> calls;
  std::array<std::atomic<cudaError_t>, kMostCards> ended{};
};
State& state() {
  static auto& the_state = *new State;
  return the_state;
}

thread_local int the_card = 0;
thread_local cudaError_t the_last = cudaSuccess;

}  // namespace

int64_t number_in(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text && *text ? std::atoll(text) : otherwise;
}

int count_of_cards() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible && !*visible) return 0;
  return static_cast<int>(number_in("VGGNET_STAND_IN_CARDS", 1));
}

int current_card() { return the_card; }
void set_current_card(int card) { the_card = card; }

cudaError_t make_context(int card) {
  static const int64_t bad = number_in("VGGNET_STAND_IN_BAD", -1);
  return card == bad ? cudaErrorDevicesUnavailable : cudaSuccess;
}

cudaError_t context_error(int card) { return state().ended[card]; }

void end_context(int card, cudaError_t error) {
  cudaError_t none = cudaSuccess;
  state().ended[card].compare_exchange_strong(none, error);
}

// As "Data types used by CUDA Runtime" says, error by error.
bool ends_context(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

cudaError_t enter(const char* call) {
  if (!state().wishes.empty()) {
    std::lock_guard lock(state().mutex);
    const int64_t count = ++state().calls[call];
    for (const Wish& wish : state().wishes) {
      if (wish.call != call || wish.at != count) continue;
      if (ends_context(wish.error)) end_context(the_card, wish.error);
      return wish.error;
    }
  }
  return context_error(the_card);
}

cudaError_t leave(cudaError_t error) {
  if (error != cudaSuccess) the_last = error;
  return error;
}

cudaError_t last_error(bool forget) {
  if (const cudaError_t ended = context_error(the_card); ended != cudaSuccess) return ended;
  const cudaError_t error = the_last;
  if (forget) the_last = cudaSuccess;
  return error;
}

}  // namespace stand_in
