import { VggError } from '../error.js'
import { type Layer, layersWithParameters, type Parameter, parametersOf } from '../layer.js'
import { type Check, unexpected } from '../options.js'
import type { NativeNetwork } from '../platform/native.js'
import { shapeText, type Tensor, valuesOf } from '../tensor.js'
import { namesOf } from './arguments.js'

/** What `initialiseFrom` copies. */
export interface CopyOptions {
  /**
   * The layers to copy, each of which must fit; or 'all': each layer of this network that the other has too, with the
   * same shapes. `layersOfA` names those that the paper's deeper nets take from A.
   */
  layers: 'all' | readonly string[]
}

/** What `initialiseFrom` did: names of layers. */
export interface Copied {
  /** Layers whose weights and biases were copied. */
  readonly copied: readonly string[]
  /** With 'all', the layers that do not fit, each with the reason. */
  readonly notCopied: readonly { readonly name: string; readonly reason: string }[]
}

/** A network that parameters are read from. */
export interface Source {
  readonly layers: readonly Layer[]
  parameter(name: string): Promise<Tensor<'float32'>>
}

const ofLayer = (parameters: readonly Parameter[], layer: string): Parameter[] =>
  parameters.filter(({ name }) => name === `${layer}.weight` || name === `${layer}.bias`)

const shapesText = (parameters: readonly Parameter[]): string =>
  parameters.map(({ shape }) => shapeText(shape)).join(' and ')

/** Why the layer cannot be copied, or undefined when it can. */
function obstacle(from: readonly Parameter[], to: readonly Parameter[]): string | undefined {
  if (to.length === 0) return 'this network has no such layer with parameters'
  if (from.length === 0) return 'the other network has no such layer with parameters'
  if (shapesText(from) === shapesText(to)) return undefined
  return `its shapes are ${shapesText(to)} here and ${shapesText(from)} in the other network`
}

/** The check of `CopyOptions.layers`; `known` are the layers with parameters. */
export const copiedLayers =
  (known: readonly string[]): Check<CopyOptions['layers']> =>
  (value, name) => {
    if (value === 'all') return value
    if (Array.isArray(value) && value.length > 0) return namesOf(value, name, known)
    throw unexpected("'all' or an array of layer names", name, value)
  }

/**
 * Which of the layers can be copied by name, and why the others cannot. Shapes decide, positions do not.
 * @throws SHAPE_MISMATCH where a layer that was named does not fit, or where none of 'all' does
 */
export function copyable(from: readonly Layer[], to: readonly Layer[], layers: CopyOptions['layers']): Copied {
  const source = parametersOf(from)
  const target = parametersOf(to)
  const names = layers === 'all' ? layersWithParameters(to) : layers
  const compared = names.map((name) => ({ name, reason: obstacle(ofLayer(source, name), ofLayer(target, name)) }))
  const copied = compared.flatMap(({ name, reason }) => (reason === undefined ? [name] : []))
  const notCopied = compared.flatMap(({ name, reason }) => (reason === undefined ? [] : [{ name, reason }]))
  const [first] = notCopied
  if (first !== undefined && (layers !== 'all' || copied.length === 0)) {
    const none = layers === 'all' ? 'none of its layers does; ' : ''
    const message = `Expected layers that fit the other network, but ${none}${first.name}: ${first.reason}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return { copied, notCopied }
}

/**
 * Copies layers by name. Everything is read at the call: a later step of the other network does not show.
 * @param together runs the writes, and lets no other call of the target come between
 */
export async function copyParameters(
  from: Source,
  to: readonly Layer[],
  layers: CopyOptions['layers'],
  together: (writes: (native: NativeNetwork) => Promise<void>) => Promise<void>,
): Promise<Copied> {
  const result = copyable(from.layers, to, layers)
  const parameters = result.copied.flatMap((layer) => ofLayer(parametersOf(to), layer))
  const reading = Promise.all(
    parameters.map(async ({ name }) => ({ name, data: valuesOf(await from.parameter(name)) })),
  )
  // the writes may wait for other calls: a failed read must not end the process in the meantime
  reading.catch(() => undefined)
  await together(async (native) => {
    for (const { name, data } of await reading) await native.write('parameter', name, data)
  })
  return result
}
