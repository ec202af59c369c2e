#include "group/communicator.hpp"
#include "tensor/error.hpp"

namespace vggnet {
namespace {

constexpr char kDone = 'd', kFailed = 'f';

std::string failed(const std::string& code, const std::string& message) { return kFailed + code + '\n' + message; }

std::string outcome_of(const std::function<std::string()>& work) {
  try {
    return kDone + work();
  } catch (const Error& error) {
    return failed(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return failed(kOutOfMemory, "the system has no memory left for this call");
  }
}

}  // namespace

std::vector<std::string> agree(Communicator& group, const std::function<std::string()>& work) {
  std::vector<std::string> outcomes = group.gather(outcome_of(work));
  for (size_t rank = 0; rank < outcomes.size(); ++rank) {
    const std::string& outcome = outcomes[rank];
    if (!outcome.starts_with(kFailed)) continue;
    const size_t end = outcome.find('\n');
    throw Error(code_named(outcome.substr(1, end - 1)), group.name_of(static_cast<int>(rank)) + ": " + outcome.substr(end + 1));
  }
  for (std::string& outcome : outcomes) outcome.erase(0, 1);
  return outcomes;
}

}  // namespace vggnet
