#pragma once
// Name, shape and offset of every trainable array, and its arenas: weights, gradients, velocity, each one block.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.hpp"

namespace vggnet {

enum class Role { parameter, gradient, velocity };
enum class Initialisation { glorot, he, paper };

struct ParameterEntry {
  Parameter parameter;
  int64_t offset, stored_count;  // in floats, as the device stores it
};

class Parameters {
 public:
  Parameters(Backend&, const std::vector<Layer>&);

  const std::vector<ParameterEntry>& entries() const { return entries_; }
  const ParameterEntry& entry(const std::string& name) const;  // throws INVALID_ARGUMENT
  bool has_layer(const std::string& layer) const;
  int64_t logical_count() const;
  int64_t arena_bytes(Role) const;

  // Weights normal, biases 0: Glorot 2 / (fan in + fan out), He 2 / fan in, the paper's standard deviation 0.01.
  // Only those of `layers`: each array has random numbers of its own.
  void initialise(Initialisation, uint64_t seed, const std::set<std::string>& layers);
  std::vector<float> read(Role, const std::string& name);  // logical order
  // The values of all outputs from the first one on, or of the next 128, 256, ...; the first is a multiple of 128.
  void write(Role, const std::string& name, int64_t first_output, std::span<const float> logical);

  // A hash of the bits of all parameters, as the device stores them.
  uint64_t digest();

  // Name of the first array that holds a value that is not finite.
  std::optional<std::string> first_not_finite(Role);

  // Address of an arena on the device, allocated (zero) at first use.
  float* arena(Role);
  bool allocated(Role) const;
  int64_t held_bytes() const;
  // Counts writes, so that what was derived from parameters can be made again.
  uint64_t version() const { return version_; }
  void changed() { ++version_; }

  // Ranges for an update: `rates` multiplies the rate layer by layer (1 where it says nothing), `frozen` is left out.
  std::vector<Segment> segments(const std::map<std::string, float>& rates, const std::set<std::string>& frozen) const;

 private:
  // visit(part, of its first logical element, of its first stored one): an entry in parts of some outputs each.
  template <class Visit>
  void for_each_part(const ParameterEntry&, const Visit& visit) const;

  Backend& backend_;
  std::vector<ParameterEntry> entries_;
  int64_t stored_count_ = 0;
  std::unique_ptr<Memory> arenas_[3];
  uint64_t version_ = 1;
};

}  // namespace vggnet
