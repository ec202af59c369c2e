import { throwIfAborted, VggError } from '../error.js'
import { type Layer, layersWithParameters } from '../layer.js'
import { describe } from '../network/describe.js'
import type { Tensor } from '../tensor.js'
import type { VGG } from '../vgg/vgg.js'
import {
  type AdviceContext,
  activationState,
  adviceFor,
  type Finding,
  gradientState,
  limits,
  type SignalState,
} from './findings.js'

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
  readonly state: SignalState
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
 * The outputs of each layer on these images, in evaluation mode, with a state on each and the mend.
 * @param images uint8 [n, h, w, c], of the net's size
 */
export async function activationsOf(
  net: VGG,
  images: Tensor<'uint8'>,
  context: AdviceContext,
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
    layers.push(...group.map((tap, position) => layerActivations(tap, sums[position] ?? new Sums(), taps.at(-1))))
  }
  return { images: count, layers, logitsRms: layers.at(-1)?.rms ?? 0, findings: activationFindings(layers, context) }
}

function layerActivations(tap: Tap, sums: Sums, last: Tap | undefined): LayerActivations {
  const { rms, zeros, deadChannels } = sums.figures()
  const figures = tap.rectified ? { rms, zeros, deadChannels } : { rms, zeros: 0, deadChannels: 0 }
  return { layer: tap.layer, ...figures, state: activationState(figures, tap === last) }
}

/** One finding, for the worst state, told at the first layer that has it: what is wrong there goes on to the end. */
function activationFindings(layers: readonly LayerActivations[], context: AdviceContext): Finding[] {
  for (const state of ['exploding', 'dead', 'vanishing'] as const) {
    const first = layers.find((layer) => layer.state === state)
    if (first === undefined) continue
    const silent = first.deadChannels >= limits.deadChannels && first.rms >= limits.dead
    const figure = silent
      ? `${Math.round(100 * first.deadChannels)} % of the channels never fire`
      : `activations ${first.rms.toExponential(1)}`
    const text = `${first.layer} is ${state} (${figure}): ${adviceFor(state, context)}`
    return [{ severity: state === 'vanishing' ? 'warning' : 'fatal', text }]
  }
  return []
}

/** The gradient of a layer's weights, in training mode. */
export interface LayerGradient {
  /** 'conv1_1'. */
  readonly layer: string
  /** Euclidean norms. */
  readonly gradientNorm: number
  /** Of the weights. */
  readonly weightNorm: number
  /** What a step at this rate, without momentum, changes of the weights: rate * gradient norm / weight norm. */
  readonly step: number
  /** What that means for training. */
  readonly state: SignalState
}

/** One backward pass: the loss at the start, and gradients layer by layer. Frozen layers have none. */
export interface GradientReport {
  /** In the batch. */
  readonly images: number
  /** Mean cross-entropy in training mode; NaN where it is not finite. */
  readonly loss: number
  /** ln(classes): what a net gives that knows nothing. */
  readonly expectedLoss: number
  /** Each that has parameters. */
  readonly layers: readonly LayerGradient[]
  /** What is wrong. */
  readonly findings: readonly Finding[]
}

async function norm(tensor: Tensor<'float32'>): Promise<number> {
  let sum = 0
  for (const value of await tensor.data()) sum += value * value
  tensor.dispose()
  return Math.sqrt(sum)
}

async function gradientOf(net: VGG, layer: string, rate: number): Promise<LayerGradient> {
  const gradientNorm = await norm(await net.gradient(`${layer}.weight`))
  const weightNorm = await norm(await net.parameter(`${layer}.weight`))
  // weights of 0 have no size to compare with
  const step = weightNorm === 0 ? 0 : (rate * gradientNorm) / weightNorm
  const state = weightNorm === 0 && gradientNorm > 0 ? 'fine' : gradientState(gradientNorm, step)
  return { layer, gradientNorm, weightNorm, step, state }
}

/**
 * The gradients of one backward pass over these images.
 * @param images uint8 [n, h, w, c]
 * @param rate the learning rate of the first step
 */
export async function gradientsOf(
  net: VGG,
  images: Tensor<'uint8'>,
  labels: Int32Array,
  rate: number,
): Promise<GradientReport> {
  const start = { images: labels.length, expectedLoss: Math.log(net.classes) }
  const loss = await lossOf(net, images, labels)
  if (typeof loss !== 'number') {
    const text = `the first loss or its gradient is not finite: ${loss.message}`
    return { ...start, loss: Number.NaN, layers: [], findings: [{ severity: 'fatal', text }] }
  }
  const frozen = new Set(net.frozen)
  const layers: LayerGradient[] = []
  for (const layer of layersWithParameters(net.layers)) {
    if (!frozen.has(layer)) layers.push(await gradientOf(net, layer, rate))
  }
  return { ...start, loss, layers, findings: gradientFindings(layers) }
}

async function lossOf(net: VGG, images: Tensor<'uint8'>, labels: Int32Array): Promise<number | VggError> {
  try {
    await net.forward(images, { training: true })
    const { loss = Number.NaN } = await net.backward(labels)
    return loss
  } catch (error) {
    if (error instanceof VggError && error.code === 'NOT_FINITE') return error
    throw error
  }
}

/** `conv1_1 and 5 more layers (up to 2.0e+0 of the weights a step)`, or undefined where no layer has this state. */
function namesText(layers: readonly LayerGradient[], state: SignalState): string | undefined {
  const found = layers.filter((layer) => layer.state === state)
  const [first, ...more] = found.map(({ layer }) => layer)
  if (first === undefined) return undefined
  const names = more.length < 2 ? [first, ...more].join(' and ') : `${first} and ${more.length} more layers`
  const most = Math.max(...found.map(({ step }) => step))
  return `${names} (${more.length > 0 ? 'up to ' : ''}${most.toExponential(1)} of the weights a step)`
}

function gradientFindings(layers: readonly LayerGradient[]): Finding[] {
  const [exploding, dead, vanishing] = (['exploding', 'dead', 'vanishing'] as const).map((one) =>
    namesText(layers, one),
  )
  const texts = [
    exploding && `the first step turns over ${exploding}: use a lower --learning-rate or another --scale`,
    dead && `no gradient arrives at ${dead}`,
    vanishing && `hardly any gradient arrives at ${vanishing}`,
  ]
  return texts.flatMap((text) => (text ? [{ severity: 'warning' as const, text }] : []))
}
