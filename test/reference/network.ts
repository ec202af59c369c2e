import type { Layer } from '../../lib/layer.js'
import {
  channelSums,
  correlation,
  correlationInputGradient,
  correlationWeightGradient,
  type Window,
} from './correlation.js'
import { type DropoutKey, dropout, dropoutMask } from './dropout.js'
import { type Augmentation, input, inputGradient } from './input.js'
import { localNorm, localNormGradient } from './local-norm.js'
import { maxPool, maxPoolGradient } from './max-pool.js'
import { relu, reluGradient } from './relu.js'
import type { Rounding } from './rounding.js'
import { spatialMean, spatialMeanGradient } from './spatial-mean.js'
import { sumOf, type Tensor64 } from './tensor.js'

export type Parameters = ReadonlyMap<string, Float64Array>

export interface RunOptions {
  readonly augmentation?: Augmentation
  /** Absent in evaluation. */
  readonly dropout?: DropoutKey
  /**
   * As a device stores with fewer digits: done to every output but the scores, every gradient of an activation, and the
   * parameters as they are multiplied with. Gradients of parameters are not rounded.
   */
  readonly rounding?: Rounding
}

export interface Gradients {
  readonly input: Tensor64
  readonly parameters: Map<string, Float64Array>
  /** With respect to each tensor. */
  readonly tensors: ReadonlyMap<string, Tensor64>
}

/** One elementary operation that has been run, with all it needs to go back. */
interface Step {
  readonly name: string
  readonly output: Tensor64
  readonly rectifies: boolean
  readonly back: (gradient: Tensor64, parameters: Map<string, Float64Array>) => Tensor64
}

/** A network that has run forward once. */
export class ReferenceRun {
  readonly #steps: Step[] = []
  readonly #rounding: Rounding | undefined
  #storing: Rounding | undefined

  /** pixels: n c h w in the caller's scale. */
  constructor(layers: readonly Layer[], parameters: Parameters, pixels: Tensor64, options: RunOptions = {}) {
    this.#rounding = options.rounding
    let x = pixels
    let stream = 0
    for (const layer of layers) {
      const from = x
      const givesScores = layer === layers.at(-1) && (layer.kind === 'linear' || layer.kind === 'spatial-mean')
      this.#storing = givesScores ? undefined : options.rounding
      switch (layer.kind) {
        case 'input':
          x = this.#ran('input', input(from, layer, options.augmentation), (g) =>
            inputGradient(g, layer, options.augmentation),
          )
          break
        case 'convolution':
        case 'linear':
          x = this.#correlated(layer.name, windowOf(layer), parameters, from)
          if (layer.relu) x = this.#rectified(layer.relu, x)
          if (layer.kind === 'linear' && layer.dropout) {
            if (options.dropout) x = this.#dropped(layer.dropout, stream, options.dropout, x)
            stream++
          }
          break
        case 'max-pool': {
          const { output, winners } = maxPool(from)
          x = this.#ran(layer.name, output, (g) => maxPoolGradient(g, winners, from.shape))
          break
        }
        case 'local-norm':
          x = this.#ran(layer.name, localNorm(from, layer), (g) => localNormGradient(g, from, layer))
          break
        case 'spatial-mean':
          x = this.#ran(layer.name, spatialMean(from), (g) => spatialMeanGradient(g, from.shape))
          break
      }
    }
  }

  get output(): Tensor64 {
    return this.#steps.at(-1)!.output
  }

  /** A tensor by its name; a linear layer's ReLU is the tensor before dropout. */
  tensor(name: string): Tensor64 {
    const step = this.#steps.find((candidate) => candidate.name === name)
    if (!step) throw new Error(`No tensor is called '${name}'`)
    return step.output
  }

  /**
   * Gradients of sum(gradient * output) + sum over names of sum(injected[name] * tensor(name)).
   * @param guided whether negative gradients do not pass a ReLU
   */
  backward(
    gradient: Tensor64,
    injected: ReadonlyMap<string, Tensor64> = new Map(),
    { guided = false } = {},
  ): Gradients {
    const parameters = new Map<string, Float64Array>()
    const tensors = new Map<string, Tensor64>()
    const start = this.#steps.reduceRight((above, step) => {
      const extra = injected.get(step.name)
      const stored = rounded(above, this.#rounding)
      const whole = extra ? rounded(sumOf(stored, extra), this.#rounding) : stored
      tensors.set(step.name, whole)
      return step.back(guided && step.rectifies ? relu(whole) : whole, parameters)
    }, gradient)
    return { input: start, parameters, tensors }
  }

  #ran(name: string, output: Tensor64, back: Step['back'], rectifies = false): Tensor64 {
    const stored = rounded(output, this.#storing)
    this.#steps.push({ name, output: stored, rectifies, back })
    return stored
  }

  #correlated(name: string, window: Window, parameters: Parameters, from: Tensor64): Tensor64 {
    const rounding = this.#rounding ?? ((value: number) => value)
    const weight = parameters.get(`${name}.weight`)!.map(rounding)
    const bias = parameters.get(`${name}.bias`)!.map(this.#storing ?? ((value: number) => value))
    const output = correlation(from, weight, bias, window)
    return this.#ran(name, output, (g, gradients) => {
      gradients.set(`${name}.weight`, correlationWeightGradient(g, from, window))
      gradients.set(`${name}.bias`, channelSums(g))
      return correlationInputGradient(g, weight, from.shape, window)
    })
  }

  #rectified(name: string, from: Tensor64): Tensor64 {
    return this.#ran(name, relu(from), (g) => reluGradient(g, from), true)
  }

  #dropped(probability: number, stream: number, key: DropoutKey, from: Tensor64): Tensor64 {
    const mask = dropoutMask(from.shape, probability, stream, key)
    return this.#ran('', dropout(from, mask), (g) => dropout(g, mask))
  }
}

const rounded = (tensor: Tensor64, rounding: Rounding | undefined): Tensor64 =>
  rounding ? { shape: tensor.shape, data: tensor.data.map(rounding) } : tensor

function windowOf(layer: Extract<Layer, { kind: 'convolution' | 'linear' }>): Window {
  if (layer.kind === 'linear') {
    return { outputs: layer.outputs, height: layer.window[0], width: layer.window[1], pad: 0 }
  }
  return { outputs: layer.outputs, height: layer.kernel, width: layer.kernel, pad: layer.kernel >> 1 }
}

/** Names and logical shapes of the parameters that a list of layers has, in order. */
export function parameterShapes(layers: readonly Layer[]): { name: string; shape: number[] }[] {
  let channels = 0
  return layers.flatMap((layer) => {
    if (layer.kind === 'input') channels = layer.channels
    if (layer.kind !== 'convolution' && layer.kind !== 'linear') return []
    const { outputs, height, width } = windowOf(layer)
    const shape = layer.kind === 'linear' ? [outputs, channels * height * width] : [outputs, channels, height, width]
    channels = outputs
    return [
      { name: `${layer.name}.weight`, shape },
      { name: `${layer.name}.bias`, shape: [outputs] },
    ]
  })
}
