#pragma once
// Passes over stored elements, threaded.
#include "backend/cpu/blocked.hpp"

namespace vggnet::cpu {

bool all_finite(const float* x, int64_t count);
void copy(const float* x, float* y, int64_t count);
void rectify(const float* x, float* y, int64_t count);
void scale(float* x, float factor, int64_t count);
// dx = x > 0 ? dy * scale : 0. dx may be dy.
void mask(const float* dy, const float* x, float scale, float* dx, int64_t count);

// Logical n c h w to and from the blocked layout; packing writes the padding.
void pack(const float* nchw, const Shape&, float* blocked);
void unpack(const float* blocked, const Shape&, float* nchw);
// blocked += nchw, and the same where value > 0.
void add_packed(const float* nchw, const Shape&, float* blocked);
void add_packed_masked(const float* nchw, const Shape&, const float* value, float* blocked);

// The input of a stage in the blocked layout, whatever it is stored as: a plain image is packed into the workspace.
class BlockedInput {
 public:
  BlockedInput(const Shape& shape, Storage storage) : shape_(shape), plain_(is_plain(shape, storage)) {}
  int64_t workspace_bytes() const { return plain_ ? 4 * stored_elements(shape_, Storage::activation) : 0; }
  void bind(const float* input, void* workspace) {
    input_ = input;
    workspace_ = static_cast<float*>(workspace);
  }
  const float* data() const {
    if (!plain_) return input_;
    pack(input_, shape_, workspace_);
    return workspace_;
  }

 private:
  Shape shape_;
  bool plain_;
  const float* input_ = nullptr;
  float* workspace_ = nullptr;
};

}  // namespace vggnet::cpu
