// Writes messages of protocol buffers, of which a network of Caffe is one; shares nothing with lib's reader.

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  for (let left = BigInt(value); ; left >>= 7n) {
    if (left < 128n) return Buffer.from([...bytes, Number(left)])
    bytes.push(Number(left & 127n) | 128)
  }
}

const tag = (field: number, type: number): Buffer => varint(field * 8 + type)

/** A field: an integer, a text, a message, or a list. */
export function field(number: number, value: number | string | Buffer): Buffer {
  if (typeof value === 'number') return Buffer.concat([tag(number, 0), varint(value)])
  const bytes = Buffer.from(value)
  return Buffer.concat([tag(number, 2), varint(bytes.length), bytes])
}

/** A field whose length is not that of its bytes. */
export const lyingField = (number: number, length: number, bytes: Buffer): Buffer =>
  Buffer.concat([tag(number, 2), varint(length), bytes])

export const packedFloats = (number: number, values: readonly number[]): Buffer =>
  field(number, Buffer.from(Float32Array.from(values).buffer))

export const packedDoubles = (number: number, values: readonly number[]): Buffer =>
  field(number, Buffer.from(Float64Array.from(values).buffer))

/** A list of floats that is not packed: each with its tag. */
export const floats = (number: number, values: readonly number[]): Buffer =>
  Buffer.concat(values.flatMap((value) => [tag(number, 5), Buffer.from(Float32Array.of(value).buffer)]))

/** Numbers of fields of Caffe's messages. */
const fields = { layers: 2, layer: 100, shape: 7, lengths: 1, data: 5 }

export const shapeField = (...lengths: number[]): Buffer =>
  field(fields.shape, field(fields.lengths, Buffer.concat(lengths.map(varint))))

/** Content of a blob of one axis. */
export const blobOf = (...values: number[]): Buffer =>
  Buffer.concat([shapeField(values.length), packedFloats(fields.data, values)])

/** A layer in the new form. */
export const layerField = (
  name: string,
  kind: string,
  blobs: readonly Buffer[],
  options: Buffer = Buffer.alloc(0),
): Buffer =>
  field(fields.layer, Buffer.concat([field(1, name), field(2, kind), ...blobs.map((blob) => field(7, blob)), options]))

/** A layer in the old form; its kind is a number. */
export const oldLayerField = (
  name: string,
  kind: number,
  blobs: readonly Buffer[],
  options: Buffer = Buffer.alloc(0),
): Buffer =>
  field(fields.layers, Buffer.concat([field(4, name), field(5, kind), ...blobs.map((blob) => field(6, blob)), options]))
