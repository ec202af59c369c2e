/** Arrays that `lbfgs` takes as a point. */
export type Point = Float32Array | Float64Array

/** A loss at a point, and its gradient there. */
export interface LossAt<P extends Point> {
  /** The loss. */
  readonly loss: number
  /** Its gradient, one number for each of the point. */
  readonly gradient: P
}

/** Options of `lbfgs`. */
export interface LbfgsOptions {
  /** Most iterations. */
  readonly iterations: number
  /** Length of the first step in the direction of its largest element. Later steps follow from the curvature. */
  readonly step: number
  /** Ends where the length of the gradient is at most this times the length of the point. Default 0. */
  readonly tolerance?: number | undefined
  /** Called after each iteration, with its number from 1 and the loss. */
  readonly onIteration?: ((iteration: number, loss: number) => void) | undefined
}

/** What `lbfgs` found. */
export interface Minimum<P extends Point> {
  /** The point with the least loss. */
  readonly point: P
  /** The loss there. */
  readonly loss: number
  /** Number of iterations. */
  readonly iterations: number
  /** Whether the gradient fulfils the tolerance. */
  readonly converged: boolean
}

/** Differences of points and of gradients that are kept. */
const history = 10

/** Share of the fall that the slope promises with which a step is accepted. */
const sufficient = 1e-4
/** Difference of losses, relative to the loss, that may be rounding. */
const rounding = 1e-12

/** Arrays as long as the point that `lbfgs` holds at once, without those of the loss. */
export const lbfgsArrays = 2 * history + 8

const dot = (a: Point, b: Point): number => {
  let sum = 0
  for (let index = 0; index < a.length; index++) sum += (a[index] ?? 0) * (b[index] ?? 0)
  return sum
}
const plus = <P extends Point>(a: P, factor: number, b: P): P =>
  a.map((value, index) => value + factor * (b[index] ?? 0)) as P
const times = <P extends Point>(factor: number, a: P): P => a.map((value) => factor * value) as P

const largestOf = (values: Point): number => {
  let most = 0
  for (const value of values) most = Math.max(most, Math.abs(value))
  return most
}

/**
 * Minimises a function by L-BFGS (Nocedal 1980), with a step that is halved until the loss falls enough (Armijo). Ends early
 * where the tolerance is reached, and where no step makes the loss fall.
 * @param start the first point, float32 or float64; it is not changed
 * @param lossOf the loss and its gradient at a point; what it throws rejects the call
 */
export async function lbfgs<P extends Point>(
  start: P,
  lossOf: (point: P) => Promise<LossAt<P>>,
  { iterations, step, tolerance = 0, onIteration }: LbfgsOptions,
): Promise<Minimum<P>> {
  let point = start
  let at = await lossOf(point)
  const kept: { readonly s: P; readonly y: P; readonly rho: number }[] = []
  const isMinimum = (): boolean => dot(at.gradient, at.gradient) <= tolerance ** 2 * dot(point, point)
  let done = 0
  const result = (): Minimum<P> => ({ point, loss: at.loss, iterations: done, converged: isMinimum() })
  while (done < iterations && !isMinimum()) {
    let direction = times(-1, at.gradient)
    const alphas: number[] = []
    for (const { s, y, rho } of kept) {
      const alpha = rho * dot(s, direction)
      alphas.push(alpha)
      direction = plus(direction, -alpha, y)
    }
    const [newest] = kept
    const scale = newest === undefined ? step / largestOf(at.gradient) : 1 / (newest.rho * dot(newest.y, newest.y))
    direction = times(scale, direction)
    for (const [index, { s, y, rho }] of [...kept.entries()].reverse())
      direction = plus(direction, (alphas[index] ?? 0) - rho * dot(y, direction), s)

    const slope = dot(at.gradient, direction)
    let length = 1
    let next = await lossOf(plus(point, length, direction))
    const falls = (): boolean =>
      next.loss <= at.loss + sufficient * length * slope ||
      // the slopes tell what the losses, equal but for rounding, do not (Hager & Zhang 2005)
      (next.loss <= at.loss + rounding * Math.abs(at.loss) &&
        dot(next.gradient, direction) <= (2 * sufficient - 1) * slope)
    for (let halvings = 0; !falls(); halvings++) {
      if (halvings === 10) return result()
      length /= 2
      next = await lossOf(plus(point, length, direction))
    }
    const s = times(length, direction)
    const y = plus(next.gradient, -1, at.gradient)
    const curvature = dot(s, y)
    if (curvature > 0) kept.unshift({ s, y, rho: 1 / curvature })
    kept.length = Math.min(kept.length, history)
    point = plus(point, length, direction)
    at = next
    done += 1
    onIteration?.(done, at.loss)
  }
  return result()
}
