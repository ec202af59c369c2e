import type { Device } from '../network/open.js'
import type { Precision } from '../platform/native-description.js'
import { Tensor } from '../tensor.js'
import { variantLetter } from '../vgg/variants.js'
import { VGG } from '../vgg/vgg.js'
import type { Contender } from './interleaved.js'

/** The call that is timed: a training step or a forward pass. */
export type Mode = 'training' | 'inference'

/** A network, a batch, and the call that is timed. */
export interface Case {
  readonly variant: string
  /** Side of the images in pixels. */
  readonly imageSize: number
  /** Images per call. */
  readonly batch: number
  readonly mode: Mode
  /** Multiplier of the convolutions' channels. Default 1. */
  readonly width?: number
  /** Outputs of fc6 and fc7. */
  readonly headWidth: number
  /** Outputs of the last layer. */
  readonly classes: number
}

export interface Run {
  readonly device: Device
  /** Precision of the computation. Default: the device's default. */
  readonly precision?: Precision
  /** Threads on the CPU. Default: one for each processor. */
  readonly threads?: number
}

/** This library, running a case in this process. */
export interface Ours extends Contender {
  readonly net: VGG
  readonly images: Tensor
  /** Seconds until the first result: the network is created, algorithms are chosen and memory is allocated. */
  readonly readySeconds: number
  /** Like `round`, but each call waits for the result of the one before. */
  alone(milliseconds: number): Promise<number>
  /** Makes calls together: while one is computed the next ones are waiting. */
  together(count: number): Promise<void>
}

const now = () => performance.now()

/** A batch of images: uint8, n h w c. */
export function imagesOf({ batch, imageSize }: Case): Tensor {
  const pixels = new Uint8Array(batch * imageSize * imageSize * 3)
  for (let index = 0; index < pixels.length; index++) pixels[index] = (index * 7919) % 251
  return Tensor.from(pixels, [batch, imageSize, imageSize, 3])
}

// Two calls are in progress, as in the trainer: the images of the next batch are copied while a batch is computed.
async function pipelined(run: () => Promise<unknown>, count: number): Promise<void> {
  let before: Promise<unknown> = Promise.resolve()
  for (let index = 0; index < count; index++) {
    const next = run()
    next.catch(() => undefined)
    await before
    before = next
  }
  await before
}

async function oneByOne(run: () => Promise<unknown>, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await run()
}

async function timed(run: () => Promise<unknown>, way: typeof pipelined, count: number): Promise<number> {
  const start = now()
  await way(run, count)
  return (now() - start) / count
}

/**
 * Creates the network and runs it until it is warm. Images and labels are in this process's memory before the clock starts; the
 * copy to the device is part of a run.
 */
export async function openOurs(benchCase: Case, run: Run): Promise<Ours> {
  const start = now()
  const { variant, classes, imageSize, width = 1, headWidth } = benchCase
  const shape = { variant: variantLetter(variant), classes, imageSize, width, headWidth } as const
  const net = await VGG.create({ ...run, ...shape, initialisation: 'he', seed: 1 })
  try {
    const images = imagesOf(benchCase)
    const labels = Array.from({ length: benchCase.batch }, (_, index) => index % classes)
    const call =
      benchCase.mode === 'training'
        ? () => net.step(images, labels, { learningRate: 1e-4, momentum: 0.9, weightDecay: 5e-4 })
        : () => net.forward(images)
    await call()
    const readySeconds = (now() - start) / 1000
    // on a GPU the second run records the graph that the third replays
    await pipelined(call, 2)
    let once = await timed(call, oneByOne, 1)
    const round = async (way: typeof pipelined, milliseconds: number) => {
      const count = Math.max(1, Math.round(milliseconds / once))
      if (count > 1) await call()
      once = await timed(call, way, count)
      return once
    }
    return {
      net,
      images,
      readySeconds,
      round: (milliseconds) => round(pipelined, milliseconds),
      alone: (milliseconds) => round(oneByOne, milliseconds),
      together: async (count) => void (await Promise.all(Array.from({ length: count }, () => call()))),
    }
  } catch (error) {
    net.dispose()
    throw error
  }
}
