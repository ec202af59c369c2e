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

/** A cotangent, by the name that the caller gave and by this package's. */
interface Given {
  readonly name: string
  readonly own: string
  readonly value: NativeTensor | ((values: TensorsByName) => unknown)
}

/** Images that are computed together, and their cotangents. */
interface Part {
  readonly images: NativeInput
  readonly cotangents: readonly Given[]
}

function cotangentsOf(given: unknown, images: number, known: KnownTensors): Given[] {
  if (!isObject(given)) throw unexpected('an object of tensor names and gradients', 'cotangents', given)
  const names = [...tensorsNamed(Object.keys(given), 'cotangents', known)]
  if (names.length === 0) throw unexpected('at least one tensor', 'cotangents', given)
  const twice = names.find(([, own], index) => names.findIndex(([, other]) => other === own) !== index)
  if (twice !== undefined) throw unexpected('each tensor once', 'cotangents', twice[0])
  return names.map(([name, own]) => {
    const value = given[name]
    if (typeof value === 'function') return { name, own, value: value as (values: TensorsByName) => unknown }
    const tensor = floatsOf(value, `cotangents.${name}`)
    if (tensor.shape[0] === images) return { name, own, value: tensor }
    const message = `Expected ${images} rows, one for each image, for cotangents.${name} but received shape ${shapeText(tensor.shape)}`
    throw new VggError('SHAPE_MISMATCH', message)
  })
}

/** The names of `wrt` with this package's; 'image' stays. */
function wrtOf(value: unknown, name: string, known: KnownTensors): Map<string, string> {
  const names = arrayOf(text)(value, name)
  if (names.length === 0) throw unexpected("at least one tensor or 'image'", name, value)
  return new Map(names.map((one) => [one, one === 'image' ? one : tensorNamed(one, name, known)]))
}

/** Images from `first` on, without a copy. */
function rowsOf<Rows extends NativeTensor | NativeInput>({ data, shape }: Rows, first: number, count: number) {
  const each = data.length / (shape[0] ?? 1)
  const rows = data.subarray(first * each, (first + count) * each) as Rows['data']
  return { data: rows, shape: [count, ...shape.slice(1)] }
}

function partsOf(images: NativeInput, cotangents: readonly Given[], size: number): Part[] {
  const [all = 0] = images.shape
  if (size === 0 || size >= all) return [{ images, cotangents }]
  return Array.from({ length: Math.ceil(all / size) }, (_, part) => {
    const first = part * size
    const count = Math.min(size, all - first)
    const own = cotangents.map(({ value, ...names }) => {
      return { ...names, value: typeof value === 'function' ? value : rowsOf(value, first, count) }
    })
    return { images: rowsOf(images, first, count), cotangents: own }
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
  const gradientsAt = [...new Set(read.wrt.values())].filter((name) => name !== 'image')
  const cotangentsAt = cotangents.map(({ own }) => own)
  const indexOf = (tensor: string) => known.tensors.indexOf(tensor)
  const highest = Math.max(...cotangentsAt.map(indexOf))
  const above = [...read.wrt].find(([, own]) => indexOf(own) > highest)
  if (above !== undefined)
    throw unexpected(`no tensor above '${known.tensors[highest]}', the highest with a cotangent,`, 'wrt', above[0])

  const { guided } = read
  const inputGradient = read.wrt.has('image')
  const call = { training: false, firstImage: 0, inputGradient, onlyKept: true, gradientsAt, cotangentsAt }
  const isFunction = ({ value }: Given) => typeof value === 'function'
  const byOwn = (given: readonly Given[]) =>
    Object.fromEntries(given.map(({ own, value }) => [own, value as NativeTensor]))

  /** Both native calls are made at once: they copy what they are given. */
  const fromTensors = async (native: NativeNetwork, { images, cotangents }: Part) => {
    const forward = native.forward({ ...call, images, keep: [] })
    const gradients = native.vjp({ cotangents: byOwn(cotangents), guided })
    gradients.catch(() => undefined)
    await forward
    return gradients
  }
  const fromFunctions = async (native: NativeNetwork, { images, cotangents }: Part) => {
    const { kept } = await native.forward({ ...call, images, keep: cotangentsAt })
    const taps = tensorsOf(Object.fromEntries(cotangents.map(({ name, own }) => [name, kept[own] as NativeTensor])))
    const computed: Given[] = []
    for (const given of cotangents) {
      const { name, value } = given
      if (typeof value !== 'function') computed.push(given)
      else
        computed.push({
          ...given,
          value: floatsOf(await calls.callback(() => value(taps)), `the result of cotangents.${name}`),
        })
    }
    return native.vjp({ cotangents: byOwn(computed), guided })
  }

  const parts = partsOf(input, cotangents, read.microBatch)
  type Found = Awaited<ReturnType<typeof fromTensors>>
  const answer = (found: readonly Found[]): TensorsByName =>
    Object.fromEntries(
      [...read.wrt].map(([name, own]) => {
        const rows = found.map(({ gradients, inputGradient }) => (own === 'image' ? inputGradient : gradients[own]))
        return [name, tensorOf(joined(rows as NativeTensor[]))]
      }),
    )
  if (!cotangents.some(isFunction))
    return calls.call(parts, (native, own) => Promise.all(own.map((part) => fromTensors(native, part)))).then(answer)
  // the caller's memory may change while functions are called
  const copied = parts.map(copyOfCall)
  return calls.together(async (native) => {
    const found: Found[] = []
    for (const part of copied) found.push(await fromFunctions(native, part))
    return answer(found)
  })
}
