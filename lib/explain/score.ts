import { throwIfAborted } from '../error.js'
import { checkScores } from '../evaluate/metrics.js'
import { integer, text, unexpected, unknownName } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import type { ClassChoice, ExplainedClass } from './explanation.js'

interface Classes {
  readonly classes: number
  readonly classNames: readonly string[]
}

/** The index of a class. @throws INVALID_ARGUMENT */
export function classIndex({ classes, classNames }: Classes, given: unknown, name = 'class'): number {
  if (typeof given === 'number') return integer(0, classes - 1)(given, name)
  if (typeof given !== 'string') throw unexpected('the index or the name of a class', name, given)
  const index = classNames.indexOf(text(given, name))
  if (index !== -1) return index
  if (classNames.length > 0) throw unknownName(given, name, classNames)
  if (/^\d+$/.test(given) && Number(given) < classes) return Number(given)
  throw unexpected(`an index from 0 to ${classes - 1}, because the classes of this network have no names,`, name, given)
}

/** The class for each image; undefined for the predicted one. @throws INVALID_ARGUMENT */
export function chosenClasses(net: Classes, given: unknown, images: number): (number | undefined)[] {
  if (!Array.isArray(given)) {
    const index = given === undefined ? undefined : classIndex(net, given)
    return new Array(images).fill(index)
  }
  if (given.length !== images) throw unexpected(`${images} classes, one for each image,`, 'class', given)
  return (given as readonly ClassChoice[]).map((one, image) => classIndex(net, one, `class[${image}]`))
}

/** Scores of the images of one part of a batch, of each the mean over the class map. */
export function meanScores(top: Tensor<'float32'>): Float32Array[] {
  const [images = 0, classes = 0] = top.shape
  const values = valuesOf(top)
  const positions = values.length / (images * classes)
  return Array.from({ length: images }, (_, image) =>
    Float32Array.from({ length: classes }, (_, index) => {
      const start = (image * classes + index) * positions
      return values.subarray(start, start + positions).reduce((sum, value) => sum + value, 0) / positions
    }),
  )
}

/** The class explained of an image, with its score. @throws NOT_FINITE */
export function explainedClass(
  net: Classes,
  scores: Float32Array,
  chosen: number | undefined,
  image: string,
): ExplainedClass {
  checkScores(scores, image)
  const largest = scores.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
  const index = chosen ?? scores.indexOf(largest)
  const score = scores[index] ?? 0
  const sum = scores.reduce((total, value) => total + Math.exp(value - largest), 0)
  return { class: net.classNames[index] ?? String(index), index, score, probability: Math.exp(score - largest) / sum }
}

/** The classes of images, found part by part, and the gradient of their scores at the last tensor. */
export class ScoreGradient {
  readonly found: ExplainedClass[] = []
  readonly #net: Classes
  readonly #chosen: readonly (number | undefined)[]
  readonly #names: readonly string[]
  readonly #signal: AbortSignal | undefined

  /** @param images their classes, and their names in messages */
  constructor(
    net: Classes,
    images: { readonly chosen: readonly (number | undefined)[]; readonly names: readonly string[] },
    signal: AbortSignal | undefined,
  ) {
    this.#net = net
    this.#chosen = images.chosen
    this.#names = images.names
    this.#signal = signal
  }

  /** The gradient of the sum of the explained scores of the next images at the last tensor. @throws NOT_FINITE, ABORTED */
  at(top: Tensor<'float32'>): Tensor<'float32'> {
    throwIfAborted(this.#signal, 'The explanation')
    const gradient = Tensor.zeros(top.shape)
    const values = valuesOf(gradient)
    const [images = 0, classes = 0] = top.shape
    const positions = values.length / (images * classes)
    for (const [image, scores] of meanScores(top).entries()) {
      const next = this.found.length
      const explained = explainedClass(this.#net, scores, this.#chosen[next], this.#names[next] ?? '')
      this.found.push(explained)
      const start = (image * classes + explained.index) * positions
      values.fill(1 / positions, start, start + positions)
    }
    return gradient
  }
}
