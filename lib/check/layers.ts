import { throwIfAborted, VggError } from '../error.js'
import { type Layer, layersWithParameters } from '../layer.js'
import { describe } from '../network/describe.js'
import type { Tensor } from '../tensor.js'
import { rateText } from '../train/log.js'
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

/** Statistics of a layer's outputs on training images, without dropout. */
export interface LayerActivations {
  /** Name of the layer: 'conv1_1', 'fc8'. */
  readonly layer: string
  /** Root mean square of the outputs, after the ReLU where there is one. */
  readonly rms: number
  /** Share of the outputs that are 0, from 0 to 1; 0 without a ReLU. */
  readonly zeros: number
  /** Share of the channels that are 0 at all positions of all images, from 0 to 1; 0 without a ReLU. */
  readonly deadChannels: number
  /** State of the outputs. */
  readonly state: SignalState
}

/** The activations of a network, layer by layer. */
export interface ActivationReport {
  /** Number of images in the forward pass. */
  readonly images: number
  /** Every convolution and linear layer, in order. */
  readonly layers: readonly LayerActivations[]
  /** Root mean square of the last layer's outputs. */
  readonly logitsRms: number
  /** Problems found. */
  readonly findings: readonly Finding[]
}

const mostImages = 32
const fewestImages = 8
/** Multiply-adds of the forward pass on a cpu, seconds on two cores: 8 images of 224 pixels for D, 13 for A. */
const multiplyAddsAtOnce = 1e11

/** Number of images for activations and gradients: 32, or fewer where they take long or do not fit into memory. */
export function imagesChecked(
  { layers, channels, imageSize, device }: Pick<VGG, 'layers' | 'channels' | 'imageSize' | 'device'>,
  largestBatch: number,
): number {
  const { multiplyAdds } = describe({ layers, shape: [1, channels, ...imageSize], device: 'cpu' })
  const within = device === 'cpu' ? Math.floor(multiplyAddsAtOnce / multiplyAdds) : mostImages
  return Math.min(largestBatch, mostImages, Math.max(fewestImages, within))
}

/** Most float32 outputs that are read at once: 128 MiB. */
const valuesAtOnce = 2 ** 25

interface Tap {
  readonly layer: string
  /** Name of its output in `features`. */
  readonly name: string
  readonly rectified: boolean
  /** Number of output values for one image. */
  readonly values: number
}

/** The outputs of all convolutions and linear layers, for images of one size. */
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

/** Groups of outputs that are read in one pass, each within `valuesAtOnce` for that number of images. */
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

/** Sums over one layer's outputs, from several passes. */
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
 * Runs the network in evaluation mode and reports each layer's outputs, the state of each, and the fix.
 * @param images uint8 [n, h, w, c], of the network's size
 * @throws VggError ABORTED
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
      const outputs = await net.features(part, names)
      for (const [index, name] of names.entries()) {
        const tensor = outputs[name]
        if (tensor !== undefined) await sums[index]?.add(tensor)
        tensor?.dispose()
      }
    }
    layers.push(...group.map((tap, index) => layerActivations(tap, sums[index] ?? new Sums(), taps.at(-1))))
  }
  return { images: count, layers, logitsRms: layers.at(-1)?.rms ?? 0, findings: activationFindings(layers, context) }
}

function layerActivations(tap: Tap, sums: Sums, last: Tap | undefined): LayerActivations {
  const { rms, zeros, deadChannels } = sums.figures()
  const figures = tap.rectified ? { rms, zeros, deadChannels } : { rms, zeros: 0, deadChannels: 0 }
  return { layer: tap.layer, ...figures, state: activationState(figures, tap === last) }
}

/** One finding, for the worst state at its first layer: the layers after it only inherit the fault. */
function activationFindings(layers: readonly LayerActivations[], context: AdviceContext): Finding[] {
  for (const state of ['exploding', 'dead', 'vanishing'] as const) {
    const first = layers.find((layer) => layer.state === state)
    if (first === undefined) continue
    const silent = first.deadChannels >= limits.deadChannels && first.rms >= limits.dead
    const figure = silent
      ? `${Math.round(100 * first.deadChannels)} % of the channels never fire`
      : `activations ${first.rms.toExponential(1)}`
    const text = `${first.layer} is ${state} (${figure}): ${adviceFor(state, context)}`
    const severity = state === 'vanishing' ? 'warning' : 'fatal'
    return [{ severity, text, ...(!Number.isFinite(first.rms) && { code: 'NOT_FINITE' }) }]
  }
  return []
}

/** Gradient of a layer's weights, in training mode. */
export interface LayerGradient {
  /** Name of the layer: 'conv1_1'. */
  readonly layer: string
  /** Euclidean norm of the gradient. */
  readonly gradientNorm: number
  /** Euclidean norm of the weights. */
  readonly weightNorm: number
  /** Change by one step without momentum, as a share of the weights: rate * gradient norm / weight norm. */
  readonly step: number
  /** State of the gradient. */
  readonly state: SignalState
}

/** Results of one backward pass: the first loss, and the gradients layer by layer. Frozen layers have none. */
export interface GradientReport {
  /** Number of images in the batch. */
  readonly images: number
  /** Mean cross-entropy in nats, in training mode; NaN where it is not finite. */
  readonly loss: number
  /** Loss of a network that gives every class the same probability: ln(classes). */
  readonly expectedLoss: number
  /** Every layer with parameters that is not frozen, in order. */
  readonly layers: readonly LayerGradient[]
  /** Problems found. */
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
  // a ratio to weights of 0 says nothing
  const step = weightNorm === 0 ? 0 : (rate * gradientNorm) / weightNorm
  const state = weightNorm === 0 && gradientNorm > 0 ? 'fine' : gradientState(gradientNorm, step)
  return { layer, gradientNorm, weightNorm, step, state }
}

/**
 * Reports the gradients of one backward pass over these images.
 * @param images uint8 [n, h, w, c]
 * @param labels [n] classes
 * @param rate learning rate of the first step
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
    return { ...start, loss: Number.NaN, layers: [], findings: [{ severity: 'fatal', code: 'NOT_FINITE', text }] }
  }
  const frozen = new Set(net.frozen)
  const layers: LayerGradient[] = []
  for (const layer of layersWithParameters(net.layers)) {
    if (!frozen.has(layer)) layers.push(await gradientOf(net, layer, rate))
  }
  return { ...start, loss, layers, findings: gradientFindings(layers, rate) }
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

/** `conv1_1 and 5 more layers (up to 2.0e+0 of the weights per step)`, or undefined where no layer has this state. */
function namesText(layers: readonly LayerGradient[], state: SignalState): string | undefined {
  const found = layers.filter((layer) => layer.state === state)
  const [first, ...more] = found.map(({ layer }) => layer)
  if (first === undefined) return undefined
  const names = more.length < 2 ? [first, ...more].join(' and ') : `${first} and ${more.length} more layers`
  const most = Math.max(...found.map(({ step }) => step))
  return `${names} (${more.length > 0 ? 'up to ' : ''}${most.toExponential(1)} of the weights per step)`
}

/** The power of ten below `rate` with which the first step changes no layer by more than a tenth of its weights. */
const calmRate = (rate: number, layers: readonly LayerGradient[]): number =>
  10 ** Math.floor(Math.log10((0.1 * rate) / Math.max(...layers.map(({ step }) => step))))

function gradientFindings(layers: readonly LayerGradient[], rate: number): Finding[] {
  const [exploding, dead, vanishing] = (['exploding', 'dead', 'vanishing'] as const).map((one) =>
    namesText(layers, one),
  )
  const texts = [
    exploding &&
      `the first step changes ${exploding} by too much: use --learning-rate ${rateText(calmRate(rate, layers))}`,
    dead && `no gradient reaches ${dead}`,
    vanishing && `hardly any gradient reaches ${vanishing}`,
  ]
  return texts.flatMap((text) => (text ? [{ severity: 'warning' as const, text }] : []))
}
