import { VggError } from '../error.js'
import { arrayOf, boolean, isObject, readOptions, text, unexpected, withDefault } from '../options.js'
import type { NativeInput, NativeNetwork, NativeTensor } from '../platform/native.js'
import { shapeText, type Tensor } from '../tensor.js'
import type { KnownTensors } from './aliases.js'
import { copyOfCall, floatsOf, imageCount, tensorNamed, tensorOf, tensorsNamed, tensorsOf } from './arguments.js'
import type { CallQueue } from './call-queue.js'

/** Tensors by name. */
export type TensorsByName<Name extends string = string> = { [Key in Name]: Tensor<'float32'> }

/**
 * The gradient of a loss with respect to a tensor, float32 of its shape; or a function that returns it, given the values of all
 * tensors with a cotangent. A function must not call the network.
 */
export type Cotangent<Name extends string = string> =
  | Tensor<'float32'>
  | ((values: TensorsByName<Name>) => Tensor<'float32'> | Promise<Tensor<'float32'>>)

/** Options of `vjp`. */
export interface VjpOptions<At extends string = string> {
  /** Where the gradient is wanted: tensors, and 'image'. None above the highest tensor with a cotangent. */
  wrt: readonly At[]
  /** Images computed at a time, to save memory; functions are called for each part. Default: all. */
  microBatch?: number | undefined
  /**
   * Whether negative gradients do not pass a ReLU: guided backpropagation (Springenberg et al. 2015). The result is then no
   * vector-Jacobian product. Default false.
   */
  guided?: boolean | undefined
}

interface Part {
  readonly images: NativeInput
  readonly cotangents: ReadonlyMap<string, Given>
}

/** A cotangent by the name that the caller gave. */
interface Given {
  readonly own: string
  readonly value: NativeTensor | ((values: TensorsByName) => unknown)
}

function cotangentsOf(given: unknown, images: number, known: KnownTensors): Map<string, Given> {
  if (!isObject(given)) throw unexpected('an object of tensor names and gradients', 'cotangents', given)
  const names = tensorsNamed(Object.keys(given), 'cotangents', known)
  if (names.size === 0) throw unexpected('at least one tensor', 'cotangents', given)
  const twice = [...names].find(([name, own]) => [...names].some(([other, its]) => its === own && other !== name))
  if (twice !== undefined) throw unexpected('each tensor once', 'cotangents', twice[0])
  const cotangentOf = (value: unknown, name: string): Given['value'] => {
    if (typeof value === 'function') return value as (values: TensorsByName) => unknown
    const { data, shape } = floatsOf(value, name)
    if (shape[0] === images) return { data: data.slice(), shape }
    const message = `Expected ${images} rows, one for each image, for ${name} but received shape ${shapeText(shape)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return new Map(
    [...names].map(([name, own]) => [name, { own, value: cotangentOf(given[name], `cotangents.${name}`) }]),
  )
}

/** The names of `wrt` with this package's; 'image' stays. */
function wrtOf(value: unknown, name: string, known: KnownTensors): Map<string, string> {
  const names = arrayOf(text)(value, name)
  if (names.length === 0) throw unexpected("at least one tensor or 'image'", name, value)
  return new Map(names.map((one) => [one, one === 'image' ? one : tensorNamed(one, name, known)]))
}

const rowsOf = ({ data, shape }: NativeTensor, first: number, count: number): NativeTensor => {
  const each = data.length / (shape[0] ?? 1)
  return { data: data.subarray(first * each, (first + count) * each), shape: [count, ...shape.slice(1)] }
}

function partsOf(images: NativeInput, cotangents: ReadonlyMap<string, Given>, size: number): Part[] {
  const [all = 0, ...rest] = images.shape
  if (size === 0 || size >= all) return [{ images, cotangents }]
  const each = images.data.length / all
  return Array.from({ length: Math.ceil(all / size) }, (_, part) => {
    const first = part * size
    const count = Math.min(size, all - first)
    const data = images.data.subarray(first * each, (first + count) * each)
    const own = [...cotangents].map(([name, { own, value }]): [string, Given] => [
      name,
      { own, value: typeof value === 'function' ? value : rowsOf(value, first, count) },
    ])
    return { images: { data, shape: [count, ...rest] }, cotangents: new Map(own) }
  })
}

/** All rows of the parts' tensors. */
function joined(parts: readonly NativeTensor[]): NativeTensor {
  const [first] = parts
  if (first === undefined || parts.length === 1) return first as NativeTensor
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0))
  let end = 0
  for (const part of parts) {
    data.set(part.data, end)
    end += part.data.length
  }
  const rows = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0)
  return { data, shape: [rows, ...first.shape.slice(1)] }
}

/**
 * Gradients of tensors and images, by the names of `wrt`; see `Network.vjp`.
 * @param input the images, read and checked
 */
export function vjp(
  calls: CallQueue,
  input: NativeInput,
  given: unknown,
  options: unknown,
  known: KnownTensors,
): Promise<TensorsByName> {
  const cotangents = cotangentsOf(given, input.shape[0] ?? 0, known)
  const read = readOptions(options, 'vjp options', {
    wrt: (value, name) => wrtOf(value, name, known),
    microBatch: imageCount,
    guided: withDefault(boolean, false),
  })
  const at = [...new Set(read.wrt.values())].filter((name) => name !== 'image')
  const indexOf = (tensor: string) => known.tensors.indexOf(tensor)
  const highest = Math.max(...[...cotangents.values()].map(({ own }) => indexOf(own)))
  const above = [...read.wrt].find(([, own]) => indexOf(own) > highest)
  if (above !== undefined)
    throw unexpected(`no tensor above '${known.tensors[highest]}', the highest with a cotangent,`, 'wrt', above[0])

  const values = [...cotangents.values()].map(({ own }) => own)
  const call = {
    training: false,
    keep: [...new Set([...values, ...at])],
    firstImage: 0,
    onlyKept: true,
    gradientsAt: at,
  }
  const compute = async (native: NativeNetwork, { images, cotangents }: Part) => {
    const inputGradient = read.wrt.has('image')
    const { kept } = await native.forward({ ...call, images, inputGradient })
    const taps = tensorsOf(
      Object.fromEntries([...cotangents].map(([name, { own }]) => [name, kept[own] as NativeTensor])),
    )
    const computed: Record<string, NativeTensor> = {}
    for (const [name, { own, value }] of cotangents) {
      computed[own] =
        typeof value === 'function'
          ? floatsOf(await calls.callback(() => value(taps)), `the result of cotangents.${name}`)
          : value
    }
    const { gradients, inputGradient: image } = await native.vjp({ cotangents: computed, guided: read.guided })
    return (own: string) => (own === 'image' ? image : gradients[own]) as NativeTensor
  }
  // the caller's memory may change while parts wait
  const parts = partsOf(copyOfCall(input), cotangents, read.microBatch)
  return calls.together(async (native) => {
    const results: ((own: string) => NativeTensor)[] = []
    for (const part of parts) results.push(await compute(native, part))
    return Object.fromEntries(
      [...read.wrt].map(([name, own]) => [name, tensorOf(joined(results.map((of) => of(own))))]),
    )
  })
}
