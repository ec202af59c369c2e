import type { NativeNetwork } from '../native/native.js'
import { shapeText, type Tensor, valuesOf } from '../tensor.js'
import { type Layer, type Parameter, parametersOf } from './layer.js'

/** What `initialiseFrom` did: names of layers. */
export interface Copied {
  /** Layers whose weights and biases were taken. */
  readonly copied: readonly string[]
  /** Layers that could not be, each with the reason in words. */
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

/** Which of the layers can be copied by name, and why the others cannot. Shapes decide, positions do not. */
export function copyable(from: readonly Layer[], to: readonly Layer[], names: readonly string[]): Copied {
  const source = parametersOf(from)
  const target = parametersOf(to)
  const judged = names.map((name) => ({ name, reason: obstacle(ofLayer(source, name), ofLayer(target, name)) }))
  return {
    copied: judged.flatMap(({ name, reason }) => (reason === undefined ? [name] : [])),
    notCopied: judged.flatMap(({ name, reason }) => (reason === undefined ? [] : [{ name, reason }])),
  }
}

/**
 * Copies layers by name. Everything is read at the call: a later step of the other network does not show.
 * @param together runs the writes, and lets no other call of the target come between
 */
export async function copyParameters(
  from: Source,
  to: readonly Layer[],
  names: readonly string[],
  together: (writes: (native: NativeNetwork) => Promise<void>) => Promise<void>,
): Promise<Copied> {
  const result = copyable(from.layers, to, names)
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
