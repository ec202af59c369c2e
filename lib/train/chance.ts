import type { Evaluation } from '../evaluate/evaluate.js'
import type { EpochEvent } from './events.js'
import { rateText } from './log.js'
import { leastSteps } from './sized-options.js'

/** Probability of at least `hits` of `count` by independent guesses that are right with probability `share`. */
export function chanceOf(hits: number, count: number, share: number): number {
  let [logTerm, sum] = [count * Math.log1p(-share), 0]
  for (let right = 0; right <= count; right++) {
    if (right >= hits) sum += Math.exp(logTerm)
    logTerm += Math.log((count - right) / (right + 1)) + Math.log(share) - Math.log1p(-share)
  }
  return Math.min(1, sum)
}

/** Level of significance. */
const level = 0.05

interface Guess {
  /** Most frequent class of the validation images. */
  readonly name: string
  /** Share of the images that always answering it gets right. */
  readonly share: number
}

function guessOf({ perClass, count }: Evaluation): Guess {
  const [first] = [...perClass].sort((one, other) => other.count - one.count)
  return { name: first?.name ?? '', share: (first?.count ?? 0) / count }
}

const hitsOf = ({ top1, count }: Evaluation): number => Math.round(top1 * count)

/** Facts of a training besides its history. */
export interface ChanceFacts {
  readonly steps: number
  /** Number of training images. */
  readonly images: number
  readonly classes: number
}

/**
 * A sentence on a training after which the validation accuracy is no better than that of always answering the most frequent
 * class (binomial test at 5 %; for the best epoch, divided by the number of epochs): the likely cause, and what to try.
 * @returns undefined if it is better, or cannot be known from so few images
 */
export function chanceText(history: readonly EpochEvent[], facts: ChanceFacts): string | undefined {
  const [first, last] = [history[0], history.at(-1)]
  if (first === undefined || last?.validation === undefined) return undefined
  const { validation } = last
  const { name, share } = guessOf(validation)
  // a single class, or images of which not even all right would be significant
  if (share === 1 || chanceOf(validation.count, validation.count, share) > level) return undefined
  const best = Math.max(...history.map((epoch) => (epoch.validation ? hitsOf(epoch.validation) : 0)))
  if (chanceOf(hitsOf(validation), validation.count, share) <= level) return undefined
  if (chanceOf(best, validation.count, share) <= level / history.length) return undefined
  const guess = `${Math.round(share * validation.count)} by always answering '${name}'`
  const figures = `${hitsOf(validation)} of ${validation.count} held-out images are right, ${guess}`
  return `The validation accuracy is no better than chance (${figures}), ${causeOf(first, last, facts)}`
}

/** The likely cause, by the training loss and the number of steps, and what to try. */
function causeOf(first: EpochEvent, last: EpochEvent, { steps, images, classes }: ChanceFacts): string {
  const losses = `from ${first.loss.toPrecision(3)} to ${last.loss.toPrecision(3)}`
  const rate = first.learningRate
  if (last.loss > 1.05 * first.loss) {
    return `because the training loss rose ${losses}: the learning rate ${rateText(rate)} is probably too high; try ${rateText(rate / 10)}`
  }
  if (last.loss < 0.95 * first.loss) {
    const each = Math.round(images / classes)
    return `although the training loss fell ${losses}: ${each} training images per class are probably too few; try more images, or to start from a trained model`
  }
  if (steps < 5 * leastSteps) {
    return `because ${steps} steps are few: the training loss went only ${losses}; try more epochs, a smaller batch or a greater patience`
  }
  return `because the training loss did not fall in ${steps} steps (${losses}); try another learning rate than ${rateText(rate)}, such as ${rateText(rate * 3)} or ${rateText(rate / 10)}, or another initialisation`
}
