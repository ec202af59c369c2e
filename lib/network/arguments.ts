import { VggError } from '../error.js'
import { type Layer, type Parameter, tensorNames } from '../layer.js'
import {
  arrayOf,
  boolean,
  type Check,
  type DefaultCheck,
  float32,
  fraction,
  integer,
  isObject,
  nonNegative,
  optional,
  positive,
  readOptions,
  text,
  unexpected,
  unknownName,
  withDefault,
} from '../options.js'
import type { NativeNetwork, NativeTensor, NativeUpdate } from '../platform/native.js'
import { otherDtype, shapeText, Tensor, valuesOf } from '../tensor.js'
import type { KnownTensors } from './aliases.js'
import { type Augment, copyOfNumbers, unshared } from './images.js'
import { labelsOf } from './labels.js'
import { factorsByLayer } from './layer-groups.js'

/** Multipliers of the learning rate by the name of a layer or of a group of layers. */
export type RateFactors<LayerName extends string = string> = { readonly [Name in LayerName]?: number }

/** Options of an update of the parameters by SGD with momentum, in Caffe's form (Sect. 3.1). */
export interface UpdateOptions<LayerName extends string = string> {
  /** Learning rate, above 0. The paper starts at 0.01. */
  learningRate: number
  /** Momentum, 0 to below 1. Default 0; the paper uses 0.9. */
  momentum?: number | undefined
  /** Weight decay (L2) of weights and biases, at least 0. Default 0; the paper uses 5e-4. */
  weightDecay?: number | undefined
  /** Multipliers of the learning rate, at least 0, by layer, block, 'convolutions' or 'head', as in `train`. Default 1. */
  rateFactors?: RateFactors<LayerName> | undefined
}

/** Options of a forward pass. */
export interface ForwardOptions {
  /** Training mode: keeps the tensors that `backward` needs, and applies dropout. Default false. */
  training?: boolean | undefined
  /** Names of tensors to keep, at which `backward` can inject gradients. They take additional memory. */
  keep?: readonly string[] | undefined
  /** Whether `backward` also computes the gradient of the images. Default false. */
  inputGradient?: boolean | undefined
  /** Index of the first image in the whole batch, so that micro-batches have the batch's dropout masks. Default 0. */
  firstImage?: number | undefined
  /** Flips and colour shifts, applied on the device. Default: none. */
  augment?: Augment | undefined
  /**
   * Name of a tensor whose values are given instead of images, as `features` returns them: 'pool4'. Only the layers after it
   * are computed. In training mode all layers before it must be frozen. Default: images.
   */
  from?: string | undefined
}

/** Options of a backward pass. */
export interface BackwardOptions {
  /** Gradients to add at tensors that `forward` kept: tensor name to a float32 tensor of the kept tensor's shape. */
  inject?: Readonly<Record<string, Tensor<'float32'>>> | undefined
  /**
   * Whether to add to valid gradients instead of replacing them. After an `update` or `step`, or if there are no
   * gradients yet, accumulation starts from zero. Default false.
   */
  accumulate?: boolean | undefined
  /** Number of images that the loss is averaged over. Default: the images of this batch. */
  batch?: number | undefined
}

/** Options of a training step: those of the update, micro-batch and augmentation. */
export interface StepOptions<LayerName extends string = string> extends UpdateOptions<LayerName> {
  /** Images computed at a time, to save memory; the gradient is that of the whole batch. Default: the whole batch. */
  microBatch?: number | undefined
  /** Flips and colour shifts, applied on the device. Default: none. */
  augment?: Augment | undefined
  /**
   * Name of a tensor whose values are given instead of images, as `features` returns them: 'pool4'. Only the layers after it
   * are computed; all layers before it must be frozen. Default: images.
   */
  from?: string | undefined
  /** In a group: whether this rank wants to end after the step; the answer says so on all ranks. Default false. */
  stops?: boolean | undefined
  /** In a group: a text for the other ranks. Default ''. */
  note?: string | undefined
}

/** A float32 tensor for the native side. */
export function floatsOf(tensor: unknown, name: string): NativeTensor {
  if (!(tensor instanceof Tensor)) throw unexpected('a float32 tensor', name, tensor)
  if (tensor.dtype !== 'float32') throw otherDtype('a float32 tensor', name, tensor, 'float32')
  return { data: unshared(valuesOf(tensor) as Float32Array), shape: [...tensor.shape] }
}

/** The parameter of this name. @throws INVALID_ARGUMENT */
export function parameterNamed(name: string, parameters: readonly Parameter[]): Parameter {
  const found = parameters.find((parameter) => parameter.name === name)
  if (found !== undefined) return found
  const known = parameters.map((parameter) => parameter.name)
  throw unknownName(text(name, 'name'), 'name', known)
}

/** A copy of the new values of a parameter. @throws SHAPE_MISMATCH */
export function valuesFor({ name, shape }: Parameter, values: unknown): Float32Array {
  const given = floatsOf(values, 'values')
  if (shapeText(shape) === shapeText(given.shape)) return new Float32Array(given.data)
  const message = `Expected shape ${shapeText(shape)} for ${name} but received shape ${shapeText(given.shape)}`
  throw new VggError('SHAPE_MISMATCH', message)
}

/**
 * Names of tensors as they are given, each with this package's name, without repetitions.
 * @throws INVALID_ARGUMENT for a name that is neither a tensor nor an alias
 */
export function tensorsNamed(names: unknown, name: string, known: KnownTensors): Map<string, string> {
  const given = arrayOf(text)(names, name)
  return new Map(given.map((one) => [one, tensorNamed(one, name, known)]))
}

/** This package's name of a tensor. @throws INVALID_ARGUMENT */
export function tensorNamed(given: string, name: string, { tensors, aliases }: KnownTensors): string {
  if (tensors.includes(given)) return given
  const found = aliases.get(given)
  if (found !== undefined) return found
  if (!/^(fc|relu)[678]$/.test(given) || tensors.includes('fc8')) throw unknownName(given, name, tensors)
  const message = `Expected a tensor of this network for ${name} but received '${given}': without a head it ends with '${tensors.at(-1)}'`
  throw new VggError('INVALID_ARGUMENT', message)
}

/** Names of tensors for the native side, without repetitions. */
export const namesOf = (names: unknown, name: string, known: KnownTensors): string[] => [
  ...new Set(tensorsNamed(names, name, known).values()),
]

/** Refuses a call that needs classes for a network without a head. @throws INVALID_ARGUMENT */
export function checkHead({ classes, layers }: { classes: number; layers: readonly Layer[] }, call: string): void {
  if (classes > 0) return
  const last = tensorNames(layers).at(-1)
  const message = `Expected a network with a head for ${call} but this one has none: features(images, ['${last}']) computes its last feature map, and replaceHead(net, { classes: N }) gives it a head`
  throw new VggError('INVALID_ARGUMENT', message)
}

const updateChecks = {
  learningRate: float32(positive),
  momentum: withDefault(fraction, 0),
  weightDecay: withDefault(float32(nonNegative), 0),
}

/** Multipliers of the learning rate by name: finite numbers of at least 0. */
export const rateFactors: DefaultCheck<Record<string, number>> = withDefault((value, name) => {
  if (!isObject(value)) throw unexpected('an object of layer names and numbers', name, value)
  return Object.fromEntries(
    Object.entries(value).map(([key, factor]) => [key, float32(nonNegative)(factor, `${name}.${key}`)]),
  )
}, {})

/** The checks of an update's options, for a network of these layers. */
export const updateOptions = (layers: readonly Layer[]) => ({
  ...updateChecks,
  rateFactors: ((value, name) => factorsByLayer(layers, rateFactors(value, name), name)) satisfies Check<
    NativeUpdate['rates']
  >,
})

const untouched = (value: unknown): unknown => value

/** The checks of a step's options; `augment` and `from` are for `ImageInput` to check. */
export const stepOptions = (layers: readonly Layer[]) => ({
  ...updateOptions(layers),
  microBatch: imageCount,
  augment: untouched,
  from: untouched,
  stops: withDefault(boolean, false),
  note: withDefault((value: unknown, name: string): string => (value === '' ? value : text(value, name)), ''),
})

/** The checks of a forward pass's options; `known` are the tensors that can be kept. */
export const forwardOptions = (known: KnownTensors) => ({
  training: withDefault(boolean, false),
  keep: (value: unknown) => (value === undefined ? [] : namesOf(value, 'keep', known)),
  inputGradient: withDefault(boolean, false),
  firstImage: withDefault(integer(0, 2 ** 31 - 1), 0),
  augment: untouched,
  from: untouched,
})

/** A tensor over memory that the native side returned, without a copy. */
export const tensorOf = ({ data, shape }: NativeTensor): Tensor<'float32'> => Tensor.from(data, shape)

/** Tensors over memory that the native side returned, by name. */
export const tensorsOf = <Name extends string>(found: Record<string, NativeTensor>) =>
  Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, tensorOf(tensor)])) as {
    [Key in Name]: Tensor<'float32'>
  }

/** Tensors for the native side by this package's names. */
export function tensorsBy(value: unknown, name: string, known: KnownTensors): Record<string, NativeTensor> {
  if (!isObject(value)) throw unexpected('an object of tensor names and gradients', name, value)
  const given = tensorsNamed(Object.keys(value), name, known)
  return Object.fromEntries([...given].map(([key, own]) => [own, floatsOf(value[key], `${name}.${key}`)]))
}

/** Argument of a native backward pass: from labels or from the gradient of the output, with the options of `backward`. */
export function backwardCall(
  from: unknown,
  options: unknown,
  net: Parameters<typeof checkHead>[0],
  known: KnownTensors,
): Parameters<NativeNetwork['backward']>[0] {
  const inject: Check<Record<string, NativeTensor>> = (value, name) => tensorsBy(value, name, known)
  const checks = { inject: optional(inject), accumulate: withDefault(boolean, false), batch: imageCount }
  const { inject: injected, ...rest } = readOptions(options, 'backward options', checks)
  return { ...backwardStart(from, net), ...rest, ...(injected && { inject: injected }) }
}

/** First argument of `backward`: the gradient of the output, or labels. */
function backwardStart(
  from: unknown,
  net: Parameters<typeof checkHead>[0],
): { gradient: NativeTensor } | { labels: Int32Array } {
  if (!isObject(from) || from instanceof Tensor) {
    checkHead(net, 'backward(labels)')
    return { labels: labelsOf(from, net.classes) }
  }
  const { gradient } = readOptions(from, 'the first argument of backward', { gradient: optional((value) => value) })
  return { gradient: floatsOf(gradient, 'gradient') }
}

/** Number of images, at least 1. Absent becomes 0, which means all of them to the native side. */
export const imageCount: Check<number> = withDefault(integer(1, 2 ** 31 - 1), 0)

/** Deep copy of an argument, so that later changes of the caller's arrays have no effect. */
export function copyOfCall<T>(value: T): T {
  if (value instanceof Float32Array || value instanceof Uint8Array || value instanceof Int32Array) {
    return copyOfNumbers(value) as T
  }
  if (Array.isArray(value)) return value.map(copyOfCall) as T
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, copyOfCall(field)])) as T
}

/** Checks that there is one name for each class, or none. @throws SHAPE_MISMATCH */
export function checkClassNames(names: readonly string[], classes: number): void {
  if (names.length === 0 || names.length === classes) return
  const message = `Expected ${classes} classNames, one for each class, but received ${names.length}`
  throw new VggError('SHAPE_MISMATCH', message)
}
