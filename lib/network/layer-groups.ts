import { VggError } from '../error.js'
import { type Layer, layersWithParameters } from '../layer.js'
import { arrayOf, text, unknownName } from '../options.js'

/** Groups of layers, each with the kind of its layers. */
const groups: Readonly<Record<string, Layer['kind']>> = { convolutions: 'convolution', head: 'linear' }

/**
 * The layers with parameters of a name: a layer, a block ('conv3'), all 'convolutions', or the 'head' (linear layers).
 * @throws INVALID_ARGUMENT for an unknown name, with the likely one
 */
export function layersNamed(layers: readonly Layer[], name: string, option: string): string[] {
  const known = layersWithParameters(layers)
  if (known.includes(name)) return [name]
  const ofKind = groups[name]
  const kinds = new Map(layers.map((layer) => ['name' in layer ? layer.name : '', layer.kind]))
  const found = known.filter((layer) => layer.startsWith(`${name}_`) || kinds.get(layer) === ofKind)
  if (found.length > 0) return found
  const present = Object.keys(groups).filter((group) => layers.some(({ kind }) => kind === groups[group]))
  if (!present.includes('head') && (name === 'head' || /^fc[678]$/.test(name))) {
    const message = `Expected a layer, a block or 'convolutions' for ${option} but received '${name}': this network has no head`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const blocks = new Set(known.filter((layer) => layer.includes('_')).map((layer) => layer.replace(/_.*/, '')))
  throw unknownName(name, option, [...known, ...blocks, ...present])
}

/** The layers of an array of such names, each once. @throws INVALID_ARGUMENT */
export const layersIn = (layers: readonly Layer[], names: unknown, option: string): string[] => [
  ...new Set(arrayOf(text)(names, option).flatMap((name) => layersNamed(layers, name, option))),
]

/** The factor of each layer. Where several names apply to a layer, the one of the fewest layers decides. @throws INVALID_ARGUMENT */
export function factorsByLayer(
  layers: readonly Layer[],
  factors: Readonly<Record<string, number>>,
  option: string,
): Record<string, number> {
  const groups = Object.entries(factors).map(([name, factor]) => {
    return { factor, names: layersNamed(layers, name, option) }
  })
  groups.sort((a, b) => b.names.length - a.names.length)
  return Object.fromEntries(groups.flatMap(({ factor, names }) => names.map((layer) => [layer, factor])))
}
