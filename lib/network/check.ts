import { endsOf, type Layer, tensorNames } from '../layer.js'
import {
  arrayOf,
  type Check,
  type Checks,
  finite,
  float32,
  fraction,
  integer,
  isObject,
  nonNegative,
  oneOf,
  optional,
  positive,
  readOptions,
  text,
  unexpected,
} from '../options.js'

/** The most channels, outputs and positions of a window that a layer may have. */
export const mostOutputs = 2 ** 24
const mostLayers = 4096

const size = integer(1, mostOutputs)

const kernel: Check<1 | 3> = (value, name) => {
  if (value === 1 || value === 3) return value
  throw unexpected('1 or 3', name, value)
}

const window: Check<[number, number]> = (value, name) => {
  if (!Array.isArray(value) || value.length !== 2) throw unexpected('[height, width]', name, value)
  return [size(value[0], `${name}[0]`), size(value[1], `${name}[1]`)]
}

const oddSize: Check<number> = (value, name) => {
  if (typeof value === 'number' && value % 2 === 1 && value >= 1 && value < mostOutputs) return value
  throw unexpected(`an odd integer from 1 to ${mostOutputs - 1}`, name, value)
}

const name = text
const fields = {
  input: { channels: size, mean: arrayOf(float32(finite)), scale: arrayOf(float32(finite)) },
  convolution: { name, outputs: size, kernel, relu: optional(text) },
  'max-pool': { name },
  'local-norm': { name, size: oddSize, k: float32(positive), alpha: float32(nonNegative), beta: float32(nonNegative) },
  linear: { name, outputs: size, window, relu: optional(text), dropout: optional(fraction) },
  'spatial-mean': { name },
} satisfies Record<Layer['kind'], Checks>

const kinds = oneOf(...(Object.keys(fields) as Layer['kind'][]))

function checkedLayer(value: unknown, position: string): Layer {
  if (!isObject(value)) throw unexpected('a layer', position, value)
  const kind = kinds(value.kind, `${position}.kind`)
  const { kind: _, ...rest } = value
  const read = readOptions(rest, `${position} ('${kind}')`, fields[kind])
  const present = Object.entries(read).filter(([, field]) => field !== undefined)
  return Object.freeze({ kind, ...Object.fromEntries(present) }) as Layer
}

/**
 * A description as given by a user, checked: known kinds and fields, the input first and only there, one mean and
 * scale for each channel, no name twice. Whether the shapes fit is for the planner to say.
 */
export const checkedLayers: Check<readonly Layer[]> = (value, position) => {
  if (!Array.isArray(value)) throw unexpected('an array of layers', position, value)
  if (value.length > mostLayers) throw unexpected(`at most ${mostLayers} layers`, position, value)
  const layers = Array.from(value, (layer, index) => checkedLayer(layer, `${position}[${index}]`))
  const { channels } = endsOf(layers)
  layers.forEach((layer, index) => {
    if (layer.kind !== 'input') return
    if (index !== 0) throw unexpected("no second layer of kind 'input'", `${position}[${index}]`, layer)
    for (const field of ['mean', 'scale'] as const) {
      if (layer[field].length === channels) continue
      throw unexpected(`${channels} numbers, one for each channel`, `${position}[0].${field}`, layer[field])
    }
  })
  const names = tensorNames(layers)
  const twice = names.find((one, index) => names.indexOf(one) !== index)
  if (twice !== undefined) throw unexpected('names that differ', position, twice)
  return Object.freeze(layers)
}
