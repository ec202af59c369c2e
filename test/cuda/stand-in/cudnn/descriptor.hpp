#pragma once
// Descriptors of cuDNN's backend: attributes, as they are set and asked for.
#include <cudnn_graph.h>

#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace stand_in {

struct Plan;
struct Graph;

// A status and the text that cudnnGetLastErrorString gives.
struct Refusal : std::runtime_error {
  Refusal(cudnnStatus_t status, const std::string& text) : std::runtime_error(text), status(status) {}
  cudnnStatus_t status;
};

struct Content;
using Contents = std::vector<std::shared_ptr<Content>>;

struct Attribute {
  std::vector<char> bytes;
  Contents descriptors;  // instead, where the elements are descriptors
  int64_t count = 0;
};

// What a descriptor means; it may outlive the handle that it was made with.
struct Content {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Attribute> attributes;
  std::shared_ptr<const Graph> graph;  // of a graph of operations
  std::shared_ptr<Plan> plan;          // of a configuration, and of the plan built with it

  template <class T>
  std::vector<T> all(int name) const {
    const auto found = attributes.find(name);
    if (found == attributes.end()) return {};
    std::vector<T> values(found->second.bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), found->second.bytes.data(), values.size() * sizeof(T));
    return values;
  }
  template <class T>
  T one(int name) const {
    const std::vector<T> values = all<T>(name);
    if (values.empty()) throw Refusal(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(name) + " is not set");
    return values[0];
  }
  const Contents& descriptors(int name) const {
    static const Contents none;
    const auto found = attributes.find(name);
    return found == attributes.end() ? none : found->second.descriptors;
  }
  const Content& descriptor(int name) const {
    if (descriptors(name).empty()) throw Refusal(CUDNN_STATUS_BAD_PARAM, "descriptor " + std::to_string(name) + " is not set");
    return *descriptors(name)[0];
  }

  template <class T>
  void set(int name, const std::vector<T>& values) {
    Attribute& attribute = attributes[name];
    attribute.count = static_cast<int64_t>(values.size());
    const auto* const bytes = reinterpret_cast<const char*>(values.data());
    attribute.bytes.assign(bytes, bytes + values.size() * sizeof(T));
  }
  void set(int name, Contents values) {
    Attribute& attribute = attributes[name];
    attribute.count = static_cast<int64_t>(values.size());
    attribute.descriptors = std::move(values);
  }
};

}  // namespace stand_in
