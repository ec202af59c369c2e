/** A loss and its gradient at a point. */
export interface At {
  readonly loss: number
  readonly gradient: Float32Array
}

export interface LbfgsOptions {
  readonly iterations: number
  /** Greatest length of the first step, in units of the largest element of the point. */
  readonly step: number
  readonly onIteration: (iteration: number, loss: number) => void
}

/** Differences of points and of gradients that are kept. */
const history = 10

const dot = (a: Float32Array, b: Float32Array): number => {
  let sum = 0
  for (let index = 0; index < a.length; index++) sum += (a[index] ?? 0) * (b[index] ?? 0)
  return sum
}
const plus = (a: Float32Array, factor: number, b: Float32Array): Float32Array =>
  a.map((value, index) => value + factor * (b[index] ?? 0))

/**
 * Minimises a function by L-BFGS (Nocedal 1980), with a step that is halved until the loss falls enough (Armijo). Ends early
 * where no step makes it fall.
 */
export async function lbfgs(
  start: Float32Array,
  lossOf: (point: Float32Array) => Promise<At>,
  { iterations, step, onIteration }: LbfgsOptions,
): Promise<Float32Array> {
  let point = start
  let at = await lossOf(point)
  const kept: { readonly s: Float32Array; readonly y: Float32Array; readonly rho: number }[] = []
  for (let iteration = 1; iteration <= iterations; iteration++) {
    let direction: Float32Array = at.gradient.map((value) => -value)
    const alphas: number[] = []
    for (const { s, y, rho } of kept) {
      const alpha = rho * dot(s, direction)
      alphas.push(alpha)
      direction = plus(direction, -alpha, y)
    }
    const [newest] = kept
    const scale = newest === undefined ? step / largestOf(at.gradient) : 1 / (newest.rho * dot(newest.y, newest.y))
    direction = direction.map((value) => value * scale)
    for (const [index, { s, y, rho }] of [...kept.entries()].reverse())
      direction = plus(direction, (alphas[index] ?? 0) - rho * dot(y, direction), s)

    const slope = dot(at.gradient, direction)
    let length = 1
    let next = await lossOf(plus(point, length, direction))
    for (let halvings = 0; !(next.loss <= at.loss + 1e-4 * length * slope); halvings++) {
      if (halvings === 10) return point
      length /= 2
      next = await lossOf(plus(point, length, direction))
    }
    const s = direction.map((value) => value * length)
    const y = plus(next.gradient, -1, at.gradient)
    if (dot(s, y) > 0) kept.unshift({ s, y, rho: 1 / dot(s, y) })
    kept.length = Math.min(kept.length, history)
    point = plus(point, length, direction)
    at = next
    onIteration(iteration, at.loss)
  }
  return point
}

const largestOf = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
