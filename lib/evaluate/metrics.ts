import { VggError } from '../error.js'
import { type ClassResult, withConfusion } from './confusion.js'

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
  /** Results of each class, in order. Computed when it is read. */
  readonly perClass: readonly ClassResult[]
  /**
   * Confusion matrix: `confusion[truth][predicted]` is a number of images. Only the cells that are not 0 are kept; the matrix
   * is made when it is read, and takes 8 bytes for each pair of classes: 200 MB for 5,000 classes.
   * @throws VggError OUT_OF_MEMORY if the heap of this process cannot have it
   */
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

/** What a {@link Tally} has counted: plain data. */
export interface Counted {
  readonly count: number
  readonly correct: number
  /** Sum of the cross-entropy. */
  readonly loss: number
  readonly top5: number
  /** Cells of the confusion matrix and their numbers of images: base64 of float64 [n, 2]. */
  readonly cells: string
}

/** Accumulates {@link Metrics} from logits and labels, batch by batch. */
export class Tally {
  readonly #classNames: readonly string[]
  /** Number of images by `truth * classes + answer`. */
  readonly #cells = new Map<number, number>()
  #count = 0
  #correct = 0
  #loss = 0
  #top5 = 0

  constructor(classNames: readonly string[]) {
    this.#classNames = classNames
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
    if (own === undefined) {
      const message = `Expected a class from 0 to ${logits.length - 1} for a label but received ${label}`
      throw new VggError('INVALID_ARGUMENT', message)
    }
    checkScores(logits, `image ${this.#count}`)
    const answer = indexOfLargest(logits)
    const cell = label * logits.length + answer
    this.#cells.set(cell, (this.#cells.get(cell) ?? 0) + 1)
    this.#count += 1
    if (answer === label) this.#correct += 1
    this.#loss += crossEntropy(logits, own)
    if (rankOf(logits, label, own) < 5) this.#top5 += 1
  }

  /** What was counted so far. */
  get counted(): Counted {
    const cells = Buffer.from(Float64Array.from([...this.#cells].flat()).buffer).toString('base64')
    return { count: this.#count, correct: this.#correct, loss: this.#loss, top5: this.#top5, cells }
  }

  /** Adds what another tally of the same classes has counted. */
  addCounted({ count, correct, loss, top5, cells }: Counted): void {
    this.#count += count
    this.#correct += correct
    this.#loss += loss
    this.#top5 += top5
    const numbers = new Float64Array(Uint8Array.from(Buffer.from(cells, 'base64')).buffer)
    for (let at = 0; at < numbers.length; at += 2) {
      const [cell = 0, images = 0] = numbers.subarray(at, at + 2)
      this.#cells.set(cell, (this.#cells.get(cell) ?? 0) + images)
    }
  }

  /** The metrics so far; all 0 before the first image. */
  metrics(): Metrics {
    const classes = this.#classNames.length
    const figures = {
      count: this.#count,
      loss: share(this.#loss, this.#count),
      top1: share(this.#correct, this.#count),
      top5: share(this.#top5, this.#count),
    }
    const cells = [...this.#cells].sort(([a], [b]) => a - b)
    const rows = cells.flatMap(([cell, images]) => [Math.floor(cell / classes), cell % classes, images])
    return withConfusion(figures, this.#classNames, Int32Array.from(rows))
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
