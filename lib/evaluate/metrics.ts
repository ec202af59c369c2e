import { VggError } from '../error.js'

/** Results of one class. */
export interface ClassResult {
  /** Name of the class. */
  readonly name: string
  /** Number of images of this class. */
  readonly count: number
  /** Number of these images that were classified correctly. */
  readonly correct: number
  /** Recall: correct / count; 0 for a class without images. */
  readonly accuracy: number
}

/** Metrics of a network on labelled images. Accuracies are from 0 to 1. */
export interface Metrics {
  /** Number of images evaluated. */
  readonly count: number
  /** Mean cross-entropy in nats. */
  readonly loss: number
  /** Share of images whose true class has the highest score. */
  readonly top1: number
  /** Share of images whose true class is among the five highest scores; 1 with five classes or fewer. */
  readonly top5: number
  /** Results of each class, in order. */
  readonly perClass: readonly ClassResult[]
  /** Confusion matrix: `confusion[truth][predicted]` is a number of images. */
  readonly confusion: readonly (readonly number[])[]
}

/**
 * Checks that the scores of one image are finite. NaN compares as false with everything and would pass for a prediction.
 *
 * @param name name of the image, for the message
 * @throws VggError NOT_FINITE
 */
export function checkScores(scores: Float32Array, name: string): void {
  const bad = scores.find((score) => !Number.isFinite(score))
  if (bad === undefined) return
  const cause = 'a weight, or the mean and scale of the network, is too large'
  throw new VggError('NOT_FINITE', `Expected finite scores for ${name} but received ${bad}: ${cause}`)
}

/** Accumulates {@link Metrics} from logits and labels, batch by batch. */
export class Tally {
  readonly #classNames: readonly string[]
  readonly #confusion: number[][]
  #count = 0
  #loss = 0
  #top5 = 0

  constructor(classNames: readonly string[]) {
    this.#classNames = classNames
    this.#confusion = classNames.map(() => new Array<number>(classNames.length).fill(0))
  }

  /**
   * Adds a batch.
   *
   * @param logits [n, classes], before the soft-max
   * @param labels [n], the true classes
   * @throws VggError SHAPE_MISMATCH, NOT_FINITE
   */
  add(logits: Float32Array, labels: Int32Array): void {
    const classes = this.#classNames.length
    if (logits.length !== labels.length * classes) {
      const message = `Expected ${labels.length} x ${classes} logits but received ${logits.length}`
      throw new VggError('SHAPE_MISMATCH', message)
    }
    labels.forEach((label, row) => {
      this.#addOne(logits.subarray(row * classes, (row + 1) * classes), label)
    })
  }

  #addOne(logits: Float32Array, label: number): void {
    const own = logits[label]
    const counts = this.#confusion[label]
    if (own === undefined || counts === undefined) {
      const message = `Expected a class from 0 to ${logits.length - 1} for a label but received ${label}`
      throw new VggError('INVALID_ARGUMENT', message)
    }
    checkScores(logits, `image ${this.#count}`)
    const answer = indexOfLargest(logits)
    counts[answer] = (counts[answer] ?? 0) + 1
    this.#count += 1
    this.#loss += crossEntropy(logits, own)
    if (rankOf(logits, label, own) < 5) this.#top5 += 1
  }

  /** The metrics so far; all 0 before the first image. */
  metrics(): Metrics {
    const perClass = this.#classNames.map((name, index) => {
      const row = this.#confusion[index] ?? []
      const count = row.reduce((sum, cell) => sum + cell, 0)
      const correct = row[index] ?? 0
      return { name, count, correct, accuracy: share(correct, count) }
    })
    const correct = perClass.reduce((sum, one) => sum + one.correct, 0)
    return {
      count: this.#count,
      loss: share(this.#loss, this.#count),
      top1: share(correct, this.#count),
      top5: share(this.#top5, this.#count),
      perClass,
      confusion: this.#confusion.map((row) => [...row]),
    }
  }
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}

/** The first index of the largest value. */
function indexOfLargest(values: Float32Array): number {
  let best = 0
  values.forEach((value, index) => {
    if (value > (values[best] ?? Number.NEGATIVE_INFINITY)) best = index
  })
  return best
}

/** Number of classes that rank before this one. Equal scores rank by index, as in indexOfLargest. */
function rankOf(values: Float32Array, label: number, own: number): number {
  let rank = 0
  values.forEach((value, index) => {
    if (value > own || (value === own && index < label)) rank += 1
  })
  return rank
}

function crossEntropy(logits: Float32Array, own: number): number {
  const largest = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0)
  return largest + Math.log(sum) - own
}
