import { createHash } from 'node:crypto'
import { layersWithParameters } from '../layer.js'
import type { Network } from '../network/network.js'
import { unknownName } from '../options.js'
import { valuesOf } from '../tensor.js'

/** The layers that a name stands for: itself, a block ('conv3'), all 'convolutions', or the 'head' (linear layers). */
export function layersNamed(net: Network, name: string, option: string): string[] {
  const known = layersWithParameters(net.layers)
  if (known.includes(name)) return [name]
  const ofKind = { convolutions: 'convolution', head: 'linear' }[name]
  const kinds = new Map(net.layers.map((layer) => ['name' in layer ? layer.name : '', layer.kind]))
  const found = known.filter((layer) => layer.startsWith(`${name}_`) || kinds.get(layer) === ofKind)
  if (found.length > 0) return found
  const blocks = new Set(known.filter((layer) => layer.includes('_')).map((layer) => layer.replace(/_.*/, '')))
  throw unknownName(name, option, [...known, ...blocks, 'convolutions', 'head'])
}

/** SHA-256 of the parameters of these layers, in order, as they are at the call. */
export async function hashOf(net: Network, layers: readonly string[]): Promise<string> {
  const names = net.parameters.map(({ name }) => name).filter((name) => layers.includes(name.replace(/\.\w+$/, '')))
  const hash = createHash('sha256')
  for (const tensor of await Promise.all(names.map((name) => net.parameter(name)))) hash.update(valuesOf(tensor))
  return hash.digest('hex')
}
