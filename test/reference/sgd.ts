export interface Sgd {
  readonly learningRate: number
  readonly momentum: number
  readonly weightDecay: number
}

/** Caffe's form, in place: v = momentum * v - rate * (g + decay * w); w += v. */
export function sgd(values: Float64Array, velocity: Float64Array, gradient: Float64Array, options: Sgd): void {
  for (let i = 0; i < values.length; i++) {
    velocity[i] =
      options.momentum * velocity[i] - options.learningRate * (gradient[i] + options.weightDecay * values[i])
    values[i] += velocity[i]
  }
}
