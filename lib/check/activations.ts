import { throwIfAborted } from '../error.js'
import type { Layer } from '../layer.js'
import { describe } from '../network/describe.js'
import type { Tensor } from '../tensor.js'
import type { VGG } from '../vgg/vgg.js'
import { activationState, type Circumstances, type Finding, limits, mendFor, type Verdict } from './verdict.js'

/** A layer's outputs on real images, without dropout. */
export interface LayerActivations {
  /** 'conv1_1', 'fc8'. */
  readonly layer: string
  /** Root of the mean square, after the ReLU where there is one. */
  readonly rms: number
  /** Share of the outputs that are 0; 0 without a ReLU. */
  readonly zeros: number
  /** Share of the channels that are 0 at all positions of all images; 0 without a ReLU. */
  readonly deadChannels: number
  /** What that means for training. */
  readonly verdict: Verdict
}

/** The activations of a net, layer by layer. */
export interface ActivationReport {
  /** Images that were looked at. */
  readonly images: number
  /** Each convolution and linear layer. */
  readonly layers: readonly LayerActivations[]
  /** Root of the mean square of the last layer. */
  readonly logitsRms: number
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

const mostImages = 32
const fewestImages = 8
/** Of one forward pass, on a cpu: some seconds on two cores. D at 224 pixels is looked at on 8 images, A on 13. */
const multiplyAddsAtOnce = 1e11

/** Images that activations and gradients are looked at on: 32, or fewer where they take long or do not fit. */
export function imagesChecked(
  { layers, channels, imageSize, device }: Pick<VGG, 'layers' | 'channels' | 'imageSize' | 'device'>,
  largestBatch: number,
): number {
  const { multiplyAdds } = describe({ layers, shape: [1, channels, ...imageSize], device: 'cpu' })
  const within = device === 'cpu' ? Math.floor(multiplyAddsAtOnce / multiplyAdds) : mostImages
  return Math.min(largestBatch, mostImages, Math.max(fewestImages, within))
}

/** Outputs that are read at once: float32 values, 128 MiB. */
const valuesAtOnce = 2 ** 25

interface Tap {
  readonly layer: string
  /** What `features` calls its output. */
  readonly name: string
  readonly rectified: boolean
  /** Output values of one image. */
  readonly values: number
}

/** The outputs to look at: of convolutions and linear layers, for images of one size. */
function tapsOf(layers: readonly Layer[], [height, width]: readonly [number, number]): Tap[] {
  let positions = height * width
  return layers.flatMap((layer) => {
    if (layer.kind === 'max-pool') positions = Math.floor(positions / 4)
    if (layer.kind === 'linear') positions = 1
    if (layer.kind !== 'convolution' && layer.kind !== 'linear') return []
    const rectified = layer.relu !== undefined
    return [{ layer: layer.name, name: layer.relu ?? layer.name, rectified, values: layer.outputs * positions }]
  })
}

/** Groups of outputs that are read together: few passes, and no more memory than `valuesAtOnce` for so many images. */
function groupsOf(taps: readonly Tap[], images: number): Tap[][] {
  const groups: Tap[][] = []
  let room = 0
  for (const tap of taps) {
    const values = tap.values * images
    const group = groups.at(-1)
    if (group === undefined || values > room) groups.push([tap])
    else group.push(tap)
    room = (group === groups.at(-1) ? room : valuesAtOnce) - values
  }
  return groups
}

/** Adds up one layer's outputs over several passes. */
class Sums {
  #squares = 0
  #zeros = 0
  #values = 0
  #fires: Uint8Array | undefined

  /** @param tensor [n, c] or [n, c, h, w] */
  async add(tensor: Tensor<'float32'>): Promise<void> {
    const [, channels = 1, height = 1, width = 1] = tensor.shape
    const values = await tensor.data()
    this.#fires ??= new Uint8Array(channels)
    const positions = height * width
    for (let start = 0, channel = 0; start < values.length; start += positions, channel = (channel + 1) % channels) {
      let [squares, zeros] = [0, 0]
      for (let position = start; position < start + positions; position++) {
        const value = values[position] as number
        squares += value * value
        if (value === 0) zeros += 1
      }
      this.#squares += squares
      this.#zeros += zeros
      if (zeros < positions) this.#fires[channel] = 1
    }
    this.#values += values.length
  }

  figures(): { rms: number; zeros: number; deadChannels: number } {
    const fires = this.#fires ?? new Uint8Array(1)
    const dead = fires.reduce((sum, fired) => sum + 1 - fired, 0)
    return {
      rms: Math.sqrt(this.#squares / this.#values),
      zeros: this.#zeros / this.#values,
      deadChannels: dead / fires.length,
    }
  }
}

/**
 * The outputs of each layer on these images, in evaluation mode, with a verdict on each and the mend.
 * @param images uint8 [n, h, w, c], of the net's size
 */
export async function activationsOf(
  net: VGG,
  images: Tensor<'uint8'>,
  around: Circumstances,
  signal?: AbortSignal,
): Promise<ActivationReport> {
  const count = images.shape[0] ?? 0
  const taps = tapsOf(net.layers, net.imageSize)
  const largest = Math.max(...taps.map(({ values }) => values))
  const atOnce = Math.max(1, Math.min(count, Math.floor(valuesAtOnce / largest)))
  const layers: LayerActivations[] = []
  for (const group of groupsOf(taps, atOnce)) {
    const sums = group.map(() => new Sums())
    for (let start = 0; start < count; start += atOnce) {
      throwIfAborted(signal, 'The check')
      const part = images.slice(start, Math.min(start + atOnce, count))
      const names = group.map(({ name }) => name)
      const found = await net.features(part, names)
      for (const [position, name] of names.entries()) {
        const tensor = found[name]
        if (tensor !== undefined) await sums[position]?.add(tensor)
        tensor?.dispose()
      }
    }
    layers.push(...group.map((tap, position) => judged(tap, sums[position] ?? new Sums(), taps.at(-1))))
  }
  return { images: count, layers, logitsRms: layers.at(-1)?.rms ?? 0, findings: findingsOf(layers, around) }
}

function judged(tap: Tap, sums: Sums, last: Tap | undefined): LayerActivations {
  const { rms, zeros, deadChannels } = sums.figures()
  const figures = tap.rectified ? { rms, zeros, deadChannels } : { rms, zeros: 0, deadChannels: 0 }
  return { layer: tap.layer, ...figures, verdict: activationState(figures, tap === last) }
}

/** One finding, for the worst verdict, told at the first layer that has it: what is wrong there goes on to the end. */
function findingsOf(layers: readonly LayerActivations[], around: Circumstances): Finding[] {
  for (const verdict of ['exploding', 'dead', 'vanishing'] as const) {
    const first = layers.find((layer) => layer.verdict === verdict)
    if (first === undefined) continue
    const silent = first.deadChannels >= limits.deadChannels && first.rms >= limits.dead
    const figure = silent
      ? `${Math.round(100 * first.deadChannels)} % of the channels never fire`
      : `activations ${first.rms.toExponential(1)}`
    const text = `${first.layer} is ${verdict} (${figure}): ${mendFor(verdict, around)}`
    return [{ severity: verdict === 'vanishing' ? 'warning' : 'fatal', text }]
  }
  return []
}
