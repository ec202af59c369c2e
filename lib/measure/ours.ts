import type { Device } from '../network/open.js'
import type { Precision } from '../platform/native-description.js'
import { Tensor } from '../tensor.js'
import { VGG } from '../vgg/vgg.js'
import type { Case } from './case.js'
import type { Contender } from './interleaved.js'

export interface Run {
  readonly device: Device
  /** Absent: the device's own choice. */
  readonly precision?: Precision
  /** Absent: one for each processor. */
  readonly threads?: number
}

export interface Ours extends Contender {
  readonly net: VGG
  readonly images: Tensor
  /** From the first call to the first result: plans are chosen and memory is taken. */
  readonly readySeconds: number
  /** Milliseconds from a call to its result, where nobody calls before the result is there. */
  alone(milliseconds: number): Promise<number>
}

const now = () => performance.now()

/** uint8 n h w c, the form in which images come. */
export function imagesOf({ batch, imageSize }: Case): Tensor {
  const pixels = new Uint8Array(batch * imageSize * imageSize * 3)
  for (let index = 0; index < pixels.length; index++) pixels[index] = (index * 7919) % 251
  return Tensor.from(pixels, [batch, imageSize, imageSize, 3])
}

// Two calls under way, as the trainer has them: the images of one are taken over while the other is computed.
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

/** Images and labels lie in this process before the clock starts; the copy to the device is part of a run. */
export async function openOurs(one: Case, run: Run, name = 'vggnet'): Promise<Ours> {
  const start = now()
  const { variant, classes, imageSize, width = 1, headWidth } = one
  const shape = { variant, classes, imageSize, width, headWidth } as const
  const net = await VGG.create({ ...run, ...shape, initialisation: 'he', seed: 1 })
  try {
    const images = imagesOf(one)
    const labels = Array.from({ length: one.batch }, (_, index) => index % classes)
    const call =
      one.mode === 'training'
        ? () => net.step(images, labels, { learningRate: 1e-4, momentum: 0.9, weightDecay: 5e-4 })
        : () => net.forward(images)
    await call()
    const readySeconds = (now() - start) / 1000
    // on a card the second run records what the third replays
    await pipelined(call, 2)
    let once = await timed(call, oneByOne, 1)
    const round = async (way: typeof pipelined, milliseconds: number) => {
      const count = Math.max(1, Math.round(milliseconds / once))
      if (count > 1) await call()
      once = await timed(call, way, count)
      return once
    }
    return {
      name,
      net,
      images,
      readySeconds,
      round: (milliseconds) => round(pipelined, milliseconds),
      alone: (milliseconds) => round(oneByOne, milliseconds),
    }
  } catch (error) {
    net.dispose()
    throw error
  }
}
