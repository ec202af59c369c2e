// The part of Network that differentiates with respect to tensors and images.
#include "network/network.hpp"
#include "tensor/error.hpp"

namespace vggnet {

VjpAnswer Network::vjp(const VjpCall& call) {
  if (!pending_ || !pending_->plan().options.differentiates || forward_of_ != parameters_.version())
    throw Error(kState, "vjp needs its own forward pass just before it, of the same parameters");
  Execution& execution = *pending_;
  const Plan& plan = execution.plan();
  AtTensors at{.injected = injections(execution, call.cotangents), .guided = call.guided};
  VjpAnswer result;
  at.wanted = [&](int tensor) {
    HostTensor& gradient = result.gradients[plan.tensors[tensor].name] = host_tensor(plan, tensor, execution.images().n);
    backend_->read(execution.gradient(tensor), gradient.values.data());
  };
  if (const Tensor& top = execution.gradient(plan.logits))
    backend_->clear(top.data, backend_->stored_bytes(top.shape, top.storage));
  execution.backward(Gradients::overwrite, at);  // takes host memory of this call: not to be replayed
  pending_ = nullptr;
  result.image_gradient = image_gradient(execution);
  return result;
}

}  // namespace vggnet
