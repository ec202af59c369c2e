#pragma once
// Losses of images and of values inside a network, with their gradients, on the host. Arrays are float32, n c h w, and sums are
// made of parts of a fixed size in order, so that the number of threads changes no bit.
#include <cstdint>

#include "tensor/shape.hpp"

namespace vggnet {

// factor * sum (x - target)^2. `gradient`, with respect to x, may be null in each of these.
double squared_error(const float* x, const float* target, int64_t count, double factor, float* gradient);

// gram[n][c][c] = factor * x x^T of each image.
void gram_matrices(const float* x, const Shape&, double factor, float* gram);

// factor * sum (gram_matrices(x, gram_factor) - target)^2.
double gram_error(const float* x, const float* target, const Shape&, double gram_factor, double factor, float* gradient);

// Of each position the distance of LPIPS (Zhang et al. 2018): the channels of x and y are divided by their length, and
// sum over the channels of weights * (x - y)^2. Returns factor * the sum of the distances; map: [n][h w], or null.
double lpips_error(const float* x, const float* y, const float* weights, const Shape&, double factor, float* map, float* gradient);

// factor * sum of the absolute differences of neighbours in rows and columns.
double total_variation(const float* x, const Shape&, double factor, float* gradient);

}  // namespace vggnet
