import { VggError } from '../error.js'
import { layersWithParameters } from '../layer.js'
import type { Tensor } from '../tensor.js'
import type { VGG } from '../vgg/vgg.js'
import { type Finding, gradientState, type Verdict } from './verdict.js'

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
  readonly verdict: Verdict
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
  const verdict = weightNorm === 0 && gradientNorm > 0 ? 'fine' : gradientState(gradientNorm, step)
  return { layer, gradientNorm, weightNorm, step, verdict }
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
  return { ...start, loss, layers, findings: findingsOf(layers) }
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

/** `conv1_1 and 5 more layers (up to 2.0e+0 of the weights a step)`, or undefined where no layer has this verdict. */
function named(layers: readonly LayerGradient[], verdict: Verdict): string | undefined {
  const found = layers.filter((layer) => layer.verdict === verdict)
  const [first, ...more] = found.map(({ layer }) => layer)
  if (first === undefined) return undefined
  const names = more.length < 2 ? [first, ...more].join(' and ') : `${first} and ${more.length} more layers`
  const most = Math.max(...found.map(({ step }) => step))
  return `${names} (${more.length > 0 ? 'up to ' : ''}${most.toExponential(1)} of the weights a step)`
}

function findingsOf(layers: readonly LayerGradient[]): Finding[] {
  const [exploding, dead, vanishing] = (['exploding', 'dead', 'vanishing'] as const).map((one) => named(layers, one))
  const texts = [
    exploding && `the first step turns over ${exploding}: use a lower --learning-rate or another --scale`,
    dead && `no gradient arrives at ${dead}`,
    vanishing && `hardly any gradient arrives at ${vanishing}`,
  ]
  return texts.flatMap((text) => (text ? [{ severity: 'warning' as const, text }] : []))
}
