import { VggError } from '../error.js'
import { type Layer, layersWithParameters, type Parameter, parametersOf } from '../layer.js'
import { type Check, unexpected } from '../options.js'
import type { NativeNetwork } from '../platform/native.js'
import { shapeText, type Tensor, valuesOf } from '../tensor.js'
import { layersIn } from './layer-groups.js'

/** Options of `initialiseFrom`. */
export interface CopyOptions {
  /**
   * Names of the layers or blocks to copy, whose shapes must be equal in both networks; or 'all': every layer that both
   * networks have with equal shapes. `layersOfA` names the layers that the paper's deeper configurations copy from A.
   */
  layers: 'all' | readonly string[]
}

/** Result of `initialiseFrom`. */
export interface Copied {
  /** Names of the layers whose weights and biases were copied. */
  readonly copied: readonly string[]
  /** With 'all', the layers that were not copied, each with the reason. */
  readonly notCopied: readonly { readonly name: string; readonly reason: string }[]
}

/** The network that parameters are copied from. */
export interface Source {
  readonly layers: readonly Layer[]
  parameter(name: string): Promise<Tensor<'float32'>>
}

const ofLayer = (parameters: readonly Parameter[], layer: string): Parameter[] =>
  parameters.filter(({ name }) => name === `${layer}.weight` || name === `${layer}.bias`)

const shapesText = (parameters: readonly Parameter[]): string =>
  parameters.map(({ shape }) => shapeText(shape)).join(' and ')

/** Why a layer cannot be copied; undefined if it can. */
function obstacle(from: readonly Parameter[], to: readonly Parameter[]): string | undefined {
  if (to.length === 0) return 'this network has no such layer with parameters'
  if (from.length === 0) return 'the other network has no such layer with parameters'
  if (shapesText(from) === shapesText(to)) return undefined
  return `its shapes are ${shapesText(to)} here and ${shapesText(from)} in the other network`
}

/** Check of `CopyOptions.layers`, for a network of these layers. */
export const copiedLayers =
  (layers: readonly Layer[]): Check<CopyOptions['layers']> =>
  (value, name) => {
    if (value === 'all') return value
    if (Array.isArray(value) && value.length > 0) return layersIn(layers, value, name)
    throw unexpected("'all' or an array of layer names", name, value)
  }

/**
 * Determines which layers can be copied, and why the others cannot. Layers are matched by name, not by index.
 * @throws SHAPE_MISMATCH if the shapes of a named layer differ, or with 'all' those of all layers
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
    const cure =
      layers === 'all'
        ? 'create it with the same variant, width and headWidth'
        : `leave ${first.name} out, or use layers: 'all', which copies those that fit`
    const message = `Expected layers that fit the other network, but ${none}${first.name}: ${first.reason}; ${cure}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  return { copied, notCopied }
}

/**
 * Copies layers by name. All reads are queued at the call: later steps of the other network have no effect.
 * @param together executes the writes without other calls of the target in between
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
    for (const { name, data } of await reading) await native.write('parameter', name, 0, data)
  })
  return result
}
