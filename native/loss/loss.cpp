#include "loss/loss.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "loss/product.hpp"

namespace vggnet {
namespace {

constexpr int64_t kPart = 1 << 14;      // elements of a part of a sum
constexpr int64_t kPositions = 64;      // of a block in which channels are passed twice
constexpr double kLeastLength = 1e-10;  // is added to a length before it divides (lpips 0.1.4, normalize_tensor)

// The sum over parts of part(begin, end), in order.
template <class Part>
double summed(int64_t count, int64_t size, const Part& part) {
  const int64_t parts = (count + size - 1) / size;
  std::vector<double> sums(parts);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < parts; ++i) sums[i] = part(i * size, std::min(count, (i + 1) * size));
  double sum = 0;
  for (double one : sums) sum += one;
  return sum;
}

// Of positions begin to end of one image; x and y point to its first channel.
double lpips_block(const float* x, const float* y, const float* weights, int64_t channels, int64_t positions, int64_t begin,
                   int64_t end, double factor, float* map, float* gradient) {
  double sum = 0;
  for (int64_t p = begin; p < end; p += kPositions) {
    const int64_t count = std::min(kPositions, end - p);
    double of_x[kPositions] = {}, of_y[kPositions] = {}, distance[kPositions] = {}, along[kPositions] = {};
    for (int64_t c = 0; c < channels; ++c) {
      const float *const xs = x + c * positions + p, *const ys = y + c * positions + p;
      for (int64_t i = 0; i < count; ++i) {
        of_x[i] += double{xs[i]} * xs[i];
        of_y[i] += double{ys[i]} * ys[i];
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      of_x[i] = std::sqrt(of_x[i]) + kLeastLength;
      of_y[i] = std::sqrt(of_y[i]) + kLeastLength;
    }
    for (int64_t c = 0; c < channels; ++c) {
      const float *const xs = x + c * positions + p, *const ys = y + c * positions + p;
      for (int64_t i = 0; i < count; ++i) {
        const double apart = xs[i] / of_x[i] - ys[i] / of_y[i];
        distance[i] += weights[c] * apart * apart;
        along[i] += 2 * weights[c] * apart * xs[i];
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      sum += distance[i];
      if (map) map[p + i] = static_cast<float>(distance[i]);
    }
    if (!gradient) continue;
    for (int64_t c = 0; c < channels; ++c) {
      const float *const xs = x + c * positions + p, *const ys = y + c * positions + p;
      for (int64_t i = 0; i < count; ++i) {
        const double length = of_x[i] - kLeastLength, apart = xs[i] / of_x[i] - ys[i] / of_y[i];
        const double turned = length > 0 ? xs[i] * along[i] / (length * of_x[i] * of_x[i]) : 0;
        gradient[c * positions + p + i] = static_cast<float>(factor * (2 * weights[c] * apart / of_x[i] - turned));
      }
    }
  }
  return sum;
}

float sign_of(float value) { return static_cast<float>((value > 0) - (value < 0)); }

}  // namespace

double squared_error(const float* x, const float* target, int64_t count, double factor, float* gradient) {
  const auto twice = static_cast<float>(2 * factor);
  return factor * summed(count, kPart, [&](int64_t begin, int64_t end) {
           double sum = 0;
           for (int64_t i = begin; i < end; ++i) {
             const float apart = x[i] - target[i];
             sum += double{apart} * apart;
             if (gradient) gradient[i] = twice * apart;
           }
           return sum;
         });
}

void gram_matrices(const float* x, const Shape& shape, double factor, float* gram) {
  for (int64_t n = 0; n < shape.n; ++n)
    product_with_itself(x + n * shape.per_image(), shape.c, shape.h * shape.w, static_cast<float>(factor), gram + n * shape.c * shape.c);
}

double gram_error(const float* x, const float* target, const Shape& shape, double gram_factor, double factor, float* gradient) {
  const int64_t square = shape.c * shape.c;
  std::vector<float> apart(shape.n * square);
  gram_matrices(x, shape, gram_factor, apart.data());
  const double loss = squared_error(apart.data(), target, shape.n * square, factor, apart.data());
  if (!gradient) return loss;
  // the matrix and what multiplies it are symmetric: each element of x is in a row and in a column
  for (float& value : apart) value *= static_cast<float>(2 * gram_factor);
  for (int64_t n = 0; n < shape.n; ++n)
    symmetric_product(apart.data() + n * square, x + n * shape.per_image(), shape.c, shape.h * shape.w,
                      gradient + n * shape.per_image());
  return loss;
}

double lpips_error(const float* x, const float* y, const float* weights, const Shape& shape, double factor, float* map,
                   float* gradient) {
  const int64_t positions = shape.h * shape.w;
  double sum = 0;
  for (int64_t n = 0; n < shape.n; ++n) {
    const int64_t first = n * shape.per_image();
    sum += summed(positions, 16 * kPositions, [&](int64_t begin, int64_t end) {
      return lpips_block(x + first, y + first, weights, shape.c, positions, begin, end, factor,
                         map ? map + n * positions : nullptr, gradient ? gradient + first : nullptr);
    });
  }
  return factor * sum;
}

double total_variation(const float* x, const Shape& shape, double factor, float* gradient) {
  const int64_t h = shape.h, w = shape.w;
  const auto rate = static_cast<float>(factor);
  return factor * summed(shape.n * shape.c, 1, [&](int64_t plane, int64_t) {
           const float* const from = x + plane * h * w;
           float* const to = gradient ? gradient + plane * h * w : nullptr;
           if (to) std::fill_n(to, h * w, 0.0f);
           double sum = 0;
           const auto between = [&](int64_t a, int64_t b) {
             const float apart = from[b] - from[a];
             sum += std::abs(apart);
             if (!to) return;
             to[b] += rate * sign_of(apart);
             to[a] -= rate * sign_of(apart);
           };
           for (int64_t row = 0; row < h; ++row)
             for (int64_t column = 0; column < w; ++column) {
               if (column + 1 < w) between(row * w + column, row * w + column + 1);
               if (row + 1 < h) between(row * w + column, (row + 1) * w + column);
             }
           return sum;
         });
}

}  // namespace vggnet
