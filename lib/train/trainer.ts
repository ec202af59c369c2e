import type { Dataset } from '../data/dataset.js'
import { type Batch, Loader } from '../data/loader.js'
import { evaluate, throwIfAborted } from '../evaluate/evaluate.js'
import type { Network } from '../network/network.js'
import type { EpochEvent, TrainReport } from './events.js'
import { afterEpoch, rateAt, type ScheduleState, scheduleStart } from './schedule.js'
import { type Settings, settingsFrom, type TrainOptions } from './settings.js'

/**
 * Trains a network as the paper does (section 3.1): mini-batch SGD with momentum in Caffe's form
 * (v = momentum v - rate (gradient + decay w); w = w + v), soft-max with cross-entropy, order drawn anew each epoch.
 *
 * The network is changed in place and stays usable whatever happens: on an abort or an error it stands after the last
 * step that was done. Two steps are kept in flight, so that the next batch is read while the network computes. Calls
 * of others on the same network come between the steps, in the order made.
 *
 * @param net a network that takes pictures of the data's size, channels and classes
 * @param data the training pictures
 * @throws VggError INVALID_ARGUMENT, SHAPE_MISMATCH; ABORTED after `signal`; NOT_FINITE where the loss leaves all
 *   bounds (a smaller learning rate helps); whatever `data.read` or a callback throws, as it is
 */
export async function train(net: Network, data: Dataset, options: TrainOptions = {}): Promise<TrainReport> {
  const settings = settingsFrom(net, data, options)
  return new Training(net, data, settings).run()
}

/** Two: one computing, one waiting. More would only hold memory. */
const stepsInFlight = 2

class Training {
  readonly #net: Network
  readonly #settings: Settings
  readonly #loader: Loader
  readonly #history: EpochEvent[] = []
  #schedule: ScheduleState = scheduleStart()
  #stepsBegun = 0
  #stepSeconds = 0

  constructor(net: Network, data: Dataset, settings: Settings) {
    this.#net = net
    this.#settings = settings
    const { batch, seed, shift, background } = settings
    this.#loader = new Loader(data, { batch, seed, shift, background })
  }

  async run(): Promise<TrainReport> {
    const start = performance.now()
    for (let epoch = 1; epoch <= this.#settings.epochs && !this.#schedule.ended; epoch++) {
      const event = await this.#runEpoch(epoch)
      this.#history.push(event)
      this.#schedule = afterEpoch(this.#settings.schedule, this.#schedule, event.validation?.top1)
      await this.#settings.onEpoch?.(event)
    }
    return {
      history: this.#history,
      steps: this.#stepsBegun,
      seconds: (performance.now() - start) / 1000,
      imagesPerSecond: (this.#history.length * this.#loader.data.count) / this.#stepSeconds,
      ended: this.#schedule.ended ? 'schedule' : 'epochs',
    }
  }

  async #runEpoch(epoch: number): Promise<EpochEvent> {
    const { validation, batch, signal } = this.#settings
    const sums = new EpochSums()
    await this.#runSteps(epoch, sums)
    this.#stepSeconds += sums.seconds()
    const figures = { ...sums.means(), imagesPerSecond: sums.imagesPerSecond() }
    const metrics = validation && (await evaluate(this.#net, validation, { batch: Math.min(batch, 256), signal }))
    return {
      epoch,
      epochs: this.#settings.epochs,
      steps: this.#stepsBegun,
      learningRate: sums.learningRate,
      ...figures,
      validation: metrics,
      seconds: sums.seconds(),
    }
  }

  async #runSteps(epoch: number, sums: EpochSums): Promise<void> {
    const inFlight: Promise<void>[] = []
    try {
      for (let index = 0; index < this.#loader.batchesPerEpoch; index++) {
        throwIfAborted(this.#settings.signal, `The training (after ${this.#stepsBegun} steps)`)
        // Read here, not in #runStep: two reads under way at once could change the order of the steps.
        const batch = await this.#loader.next()
        const step = this.#runStep(epoch, batch, sums)
        // Its error is reported when its turn comes; until then it must not count as unhandled.
        step.catch(() => undefined)
        inFlight.push(step)
        if (inFlight.length === stepsInFlight) await inFlight.shift()
      }
      for (const step of inFlight) await step
    } finally {
      await Promise.allSettled(inFlight)
    }
  }

  async #runStep(epoch: number, batch: Batch, sums: EpochSums): Promise<void> {
    const { epochs, learningRate: base, momentum, weightDecay, microBatch, schedule, onStep } = this.#settings
    const perEpoch = this.#loader.batchesPerEpoch
    const learningRate = rateAt(schedule, this.#schedule, base, this.#stepsBegun / perEpoch, epochs)
    this.#stepsBegun += 1
    const step = this.#stepsBegun
    const options = { learningRate, momentum, weightDecay, microBatch }
    const { loss, correct } = await this.#net.step(batch.images, batch.labels, options)
    const images = batch.labels.length
    sums.add({ loss, correct, images, learningRate })
    const imagesPerSecond = sums.imagesPerSecond()
    const imagesLeft = epochs * this.#loader.data.count - (epoch - 1) * this.#loader.data.count - sums.images
    const secondsLeft = imagesLeft / imagesPerSecond
    const steps = epochs * perEpoch
    onStep?.({ step, steps, epoch, epochs, loss, images, correct, learningRate, imagesPerSecond, secondsLeft })
  }
}

/** Adds up the steps of one epoch. */
class EpochSums {
  readonly #start = performance.now()
  #loss = 0
  #correct = 0
  images = 0
  learningRate = 0

  add(step: { loss: number; correct: number; images: number; learningRate: number }): void {
    this.#loss += step.loss * step.images
    this.#correct += step.correct
    this.images += step.images
    this.learningRate = step.learningRate
  }

  means(): { loss: number; accuracy: number } {
    return { loss: this.#loss / this.images, accuracy: this.#correct / this.images }
  }

  seconds(): number {
    return (performance.now() - this.#start) / 1000
  }

  imagesPerSecond(): number {
    return this.images / this.seconds()
  }
}
