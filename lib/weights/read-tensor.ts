import type { Parameter } from '../layer.js'
import type { ForeignTensor, WeightFile } from './containers/weight-file.js'
import type { Source } from './sources/source.js'

/** Number of elements that are read and moved at a time: 16 MB. */
const mostAtOnce = 2 ** 22

/** A parameter, and the tensor of a file that holds it. */
export interface Found {
  readonly parameter: Parameter
  readonly tensor: ForeignTensor
  /** Whether the input channels are those of the image, in the order of the source. */
  readonly readsImage: boolean
  /** Length in elements of a channel of the last feature map, for fc6; 1 for other layers. */
  readonly mapSize: number
}

/** Values of a parameter for the outputs from `first` on. */
export interface Part {
  readonly first: number
  readonly values: Float32Array
}

/** The outputs that every part but the last of a parameter has a multiple of. */
export const outputsAtOnce = 128

/** Number of outputs, with so many values each, that are moved at a time. */
export const outputsInPart = (each: number): number =>
  outputsAtOnce * Math.max(1, Math.floor(mostAtOnce / each / outputsAtOnce))

/**
 * Reads a parameter in our order: [o, i, h, w] with channels red, green, blue for a convolution; [o, c * h * w] for a linear
 * weight. A linear weight comes in parts of about 16 MB, each of which is valid until the one after the next is asked for,
 * unless its source stores the inputs first; other parameters are one part.
 */
export async function* readParameter(file: WeightFile, source: Source, found: Found): AsyncGenerator<Part> {
  const { parameter, tensor, readsImage } = found
  if (parameter.shape.length === 2 && source.linear === 'oi') {
    yield* readRows(file, source, found)
    return
  }
  const values = new Float32Array(parameter.count)
  if (parameter.shape.length === 2) await readColumns(file, source, found, values)
  else await file.read(tensor, values, 0)
  const isHwio = parameter.shape.length === 4 && source.convolution === 'hwio'
  const ordered = isHwio ? fromHwio(values, parameter) : values
  const isReversed = parameter.shape.length === 4 && readsImage && source.pixels.order === 'BGR'
  yield { first: 0, values: isReversed ? reversedChannels(ordered, parameter) : ordered }
}

/** [h, w, i, o] as [o, i, h, w]. */
function fromHwio(values: Float32Array, { shape }: Parameter): Float32Array {
  const [outputs = 0, inputs = 0, height = 0, width = 0] = shape
  const taps = height * width
  const made = new Float32Array(values.length)
  let at = 0
  for (let tap = 0; tap < taps; tap++) {
    for (let input = 0; input < inputs; input++) {
      for (let output = 0; output < outputs; output++) made[(output * inputs + input) * taps + tap] = values[at++] ?? 0
    }
  }
  return made
}

/** Blue, green, red as red, green, blue. Other than three channels have no such order. */
function reversedChannels(values: Float32Array, { shape }: Parameter): Float32Array {
  const [outputs = 0, inputs = 0, height = 0, width = 0] = shape
  if (inputs !== 3) return values
  const taps = height * width
  const blue = new Float32Array(taps)
  for (let output = 0; output < outputs; output++) {
    const begin = output * 3 * taps
    blue.set(values.subarray(begin, begin + taps))
    values.copyWithin(begin, begin + 2 * taps, begin + 3 * taps)
    values.set(blue, begin + 2 * taps)
  }
  return values
}

/** The index of our column for a column of the source, which is counted h, w, c where the source flattens so. */
function columnOf(source: Source, inputs: number, mapSize: number): (column: number) => number {
  if (source.flattened === 'chw' || mapSize === 1) return (column) => column
  const channels = inputs / mapSize
  return (column) => (column % channels) * mapSize + Math.floor(column / channels)
}

/** Reads a linear weight [outputs, inputs]. */
async function* readRows(file: WeightFile, source: Source, found: Found): AsyncGenerator<Part> {
  const [outputs = 0, inputs = 0] = found.parameter.shape
  const rows = outputsInPart(inputs)
  // one is read while the caller uses the other
  const buffers = [0, 1].map(() => new Float32Array(Math.min(rows, outputs) * inputs))
  const own = columnOf(source, inputs, found.mapSize)
  for (let first = 0; first < outputs; first += rows) {
    const count = Math.min(rows, outputs - first)
    const values = (buffers[(first / rows) % 2] as Float32Array).subarray(0, count * inputs)
    await file.read(found.tensor, values, first * inputs)
    if (source.flattened === 'hwc' && found.mapSize > 1) reorderColumns(values, count, inputs, own)
    yield { first, values }
  }
}

/** Reads a linear weight [inputs, outputs] as [outputs, inputs]. */
async function readColumns(file: WeightFile, source: Source, found: Found, values: Float32Array): Promise<void> {
  const [outputs = 0, inputs = 0] = found.parameter.shape
  const own = columnOf(source, inputs, found.mapSize)
  const rows = Math.max(1, Math.floor(mostAtOnce / outputs))
  for (let first = 0; first < inputs; first += rows) {
    const count = Math.min(rows, inputs - first)
    const part = new Float32Array(count * outputs)
    await file.read(found.tensor, part, first * outputs)
    const columns = Int32Array.from({ length: count }, (_, row) => own(first + row))
    scatter(part, columns, values, inputs)
  }
}

/** Side of the square in which a matrix is transposed, so that its lines stay in the cache. */
const tile = 32

/** Adds rows [columns][outputs] to a matrix [outputs][inputs] as columns of these indices. */
function scatter(rows: Float32Array, columns: Int32Array, matrix: Float32Array, inputs: number): void {
  const outputs = rows.length / columns.length
  for (let begin = 0; begin < outputs; begin += tile) {
    const end = Math.min(begin + tile, outputs)
    for (let row = 0; row < columns.length; row++) {
      const column = columns[row] ?? 0
      for (let output = begin; output < end; output++)
        matrix[output * inputs + column] = rows[row * outputs + output] ?? 0
    }
  }
}

function reorderColumns(values: Float32Array, outputs: number, inputs: number, own: (column: number) => number): void {
  const columns = Int32Array.from({ length: inputs }, (_, column) => own(column))
  for (let output = 0; output < outputs; output++) {
    const row = values.subarray(output * inputs, (output + 1) * inputs)
    const before = row.slice()
    for (let column = 0; column < inputs; column++) row[columns[column] ?? 0] = before[column] ?? 0
  }
}
