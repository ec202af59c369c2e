#pragma once
// Makers of the card's stages, one for each kind of layer; backend.cpp chooses among them by visiting the variant.
// A maker touches no card: it counts bytes. Plans are chosen when a stage is bound.
#include "backend/cuda/convolution_graph.hpp"
#include "backend/cuda/device.hpp"
#include "backend/cuda/parameters.hpp"
#include "backend/cuda/product.hpp"

namespace vggnet::cuda {

// What the stages of one backend share. Without a card (a planner) there is no device, and there are no plans.
struct Setting {
  Precision precision;
  bool deterministic;
  Device* device = nullptr;
  ConvolutionPlans* convolutions = nullptr;
  ProductPlans* products = nullptr;
  ParameterBlock* parameters = nullptr;
  CompleteGradients* complete = nullptr;

  Element element() const { return element_of(precision); }
  int64_t element_bytes() const { return bytes_of(element()); }
  Stream stream() const { return device->stream(); }
};

std::unique_ptr<Stage> make_stage(const Input&, const Shape& input, const Context&, const Setting&);            // input.cpp
std::unique_ptr<Stage> make_stage(const Convolution&, const Shape& input, const Context&, const Setting&);      // convolution.cpp
std::unique_ptr<Stage> make_stage(const ConvolutionPool&, const Shape& input, const Context&, const Setting&);  // convolution.cpp
std::unique_ptr<Stage> make_stage(const MaxPool&, const Shape& input, const Context&, const Setting&);          // pool.cpp
std::unique_ptr<Stage> make_stage(const Relu&, const Shape& input, const Context&, const Setting&);             // activation.cpp
std::unique_ptr<Stage> make_stage(const Dropout&, const Shape& input, const Context&, const Setting&);          // activation.cpp
std::unique_ptr<Stage> make_stage(const LocalNorm&, const Shape& input, const Context&, const Setting&);        // norm.cpp
std::unique_ptr<Stage> make_stage(const Linear&, const Shape& input, const Context&, const Setting&);           // linear.cpp
std::unique_ptr<Stage> make_stage(const SpatialMean&, const Shape& input, const Context&, const Setting&);      // pool.cpp
std::unique_ptr<Stage> make_stage(const SoftmaxLoss&, const Shape& input, const Context&, const Setting&);      // loss.cpp

}  // namespace vggnet::cuda
