#pragma once
// Makers of the CPU's stages, one for each kind of layer; backend.cpp chooses among them by visiting the variant.
#include "backend/backend.hpp"

namespace vggnet::cpu {

std::unique_ptr<Stage> make_stage(const Input&, const Shape& input, const Context&);            // input.cpp
std::unique_ptr<Stage> make_stage(const Convolution&, const Shape& input, const Context&);      // convolution.cpp
std::unique_ptr<Stage> make_stage(const ConvolutionPool&, const Shape& input, const Context&);  // convolution_pool.cpp
std::unique_ptr<Stage> make_stage(const MaxPool&, const Shape& input, const Context&);          // pool.cpp
std::unique_ptr<Stage> make_stage(const Relu&, const Shape& input, const Context&);             // activation.cpp
std::unique_ptr<Stage> make_stage(const Dropout&, const Shape& input, const Context&);          // activation.cpp
std::unique_ptr<Stage> make_stage(const LocalNorm&, const Shape& input, const Context&);        // norm.cpp
std::unique_ptr<Stage> make_stage(const Linear&, const Shape& input, const Context&);           // linear.cpp
std::unique_ptr<Stage> make_stage(const SpatialMean&, const Shape& input, const Context&);      // pool.cpp
std::unique_ptr<Stage> make_stage(const SoftmaxLoss&, const Shape& input, const Context&);      // loss.cpp

}  // namespace vggnet::cpu
