import { describe, expect, it } from 'vitest'
import { decode, encode, headerFields, type NamedTensor, parseHeader } from '../../lib/checkpoint/safetensors.js'

const tensors: NamedTensor[] = [
  { name: 'b', dtype: 'F32', shape: [2, 2], data: Float32Array.from([1, -2, 3.5, Number.NaN]) },
  { name: 'a', dtype: 'U8', shape: [3], data: Uint8Array.from([1, 2, 255]) },
  { name: 'größe', dtype: 'I32', shape: [1], data: Int32Array.from([-7]) },
  { name: 'count', dtype: 'I64', shape: [], data: BigInt64Array.from([-(2n ** 62n)]) },
  { name: 'empty', dtype: 'F32', shape: [0, 5], data: new Float32Array(0) },
]

/** A file of this header and so many bytes of data, whatever sense they make. */
function file(header: string | Uint8Array, dataBytes = 0): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = 'F32') =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] })

describe('safetensors', () => {
  it('reads what it wrote', () => {
    const { tensors: found, metadata } = decode(encode(tensors, { format: 'x', note: 'ä "quoted"\n' }))
    expect(metadata).toEqual({ format: 'x', note: 'ä "quoted"\n' })
    for (const tensor of tensors) expect(found.find(({ name }) => name === tensor.name)).toEqual(tensor)
    expect(found).toHaveLength(tensors.length)
    expect(decode(encode([])).tensors).toEqual([])
  })

  it('gives equal bytes for equal content in any order', () => {
    const one = encode(tensors, { a: '1', b: '2', 10: '3' })
    const other = encode([...tensors].reverse(), { b: '2', 10: '3', a: '1' })
    expect(other).toEqual(one)
  })

  it('writes exactly these bytes', () => {
    const bytes = encode([{ name: 'w', dtype: 'F32', shape: [1], data: Float32Array.from([1]) }], { k: 'v' })
    const json = '{"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    const padded = json.padEnd(Math.ceil(json.length / 8) * 8)
    expect(Buffer.from(bytes.subarray(0, 8)).readBigUInt64LE()).toBe(BigInt(padded.length))
    expect(Buffer.from(bytes.subarray(8, 8 + padded.length)).toString()).toBe(padded)
    expect([...bytes.subarray(8 + padded.length)]).toEqual([0, 0, 0x80, 0x3f])
  })

  it('aligns every tensor to its element', () => {
    const bytes = encode(tensors)
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))
    expect(start % 8).toBe(0)
    for (const { begin, dtype } of parseHeader(headerFields(bytes.subarray(8, start)), bytes.length - start).tensors) {
      expect(begin % { I64: 8, F32: 4, I32: 4, U8: 1 }[dtype]).toBe(0)
    }
  })

  it('reads files of others: header not padded, tensors in another order, unaligned', () => {
    const bytes = file(`{"z":${entry(3, 7)},"a":${entry(0, 3, [3], 'U8')}}`, 7)
    bytes.set([9, 8, 7, 0, 0, 0x80, 0x3f], bytes.length - 7)
    const { tensors: found } = decode(bytes)
    expect(found.map(({ name, data }) => [name, ...data])).toEqual([
      ['a', 9, 8, 7],
      ['z', 1],
    ])
  })

  it('keeps names that objects treat in their own way', () => {
    const odd = ['__proto__', 'constructor', '1', 'toString'].map(
      (name): NamedTensor => ({ name, dtype: 'U8', shape: [1], data: Uint8Array.of(1) }),
    )
    expect(
      decode(encode(odd))
        .tensors.map(({ name }) => name)
        .sort(),
    ).toEqual(['1', '__proto__', 'constructor', 'toString'])
  })

  it('copies: a change of the file bytes does not reach the tensors', () => {
    // a Buffer's slice is no copy
    for (const bytes of [encode(tensors), Buffer.from(encode(tensors))]) {
      const { tensors: found } = decode(bytes)
      bytes.fill(0)
      for (const tensor of tensors) expect(found.find(({ name }) => name === tensor.name)).toEqual(tensor)
    }
  })

  it('refuses to write names twice, the name of the metadata, or data that does not fit', () => {
    const [tensor] = tensors as [NamedTensor]
    expect(() => encode([tensor, tensor])).toThrow(/different names/)
    expect(() => encode([{ ...tensor, name: '__metadata__' }])).toThrow(/different names/)
    expect(() => encode([{ ...tensor, shape: [3] }])).toThrow(/Expected F32 data of 12 bytes for b but received 16/)
    expect(() => encode([{ ...tensor, dtype: 'I32' }])).toThrow(/Expected I32 data/)
  })
})

const good = `{"a":${entry(0, 4)}}`
const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`

const abuse: [string, Uint8Array, RegExp][] = [
  ['an empty file', new Uint8Array(0), /it has 0 bytes/],
  ['a file of 7 bytes', new Uint8Array(7), /it has 7 bytes/],
  ['no header', new Uint8Array(8), /not JSON/],
  ['a header longer than the file', file(good, 4).subarray(0, 20), /truncated/],
  ['a header of 2^63 bytes', Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0x80, 0x7b]), /at most 33554432/],
  ['a header of 2^25 + 1 bytes', Uint8Array.from([1, 0, 0, 2, 0, 0, 0, 0]), /at most 33554432/],
  ['data cut off', file(good, 3), /take 4 bytes, and 3 follow the header; is it truncated/],
  ['data left over', file(good, 5), /take 4 bytes, and 5 follow/],
  ['text', new TextEncoder().encode('Hello, I am no tensor file at all'), /at most|truncated/],
  ['a header that is no JSON', file('{"a":'), /not JSON/],
  ['a header that is an array', file('[]'), /does not begin with/],
  ['a header after a space', file(` ${good}`, 4), /does not begin with/],
  ['a header after a byte order mark', file(`\ufeff${good}`, 4), /does not begin with/],
  ['a header not in UTF-8', file(Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), /not JSON/],
  ['text after the header', file(`${good}x`, 4), /not JSON/],
  ['a header nested 200,000 deep', file(deep), /the header is nested more than 3 deep/],
  [
    'a header of a quarter of a million empty objects',
    file(`{"a":[${'{},'.repeat(2 ** 18)}{}]}`),
    /more than 262144 values/,
  ],
  ['a shape of 65 axes', file(`{"a":${entry(0, 4, Array(65).fill(1))}}`, 4), /at most 64 lengths/],
  ['a name twice', file(`{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4), /'a' occurs twice/],
  ['a name twice, written in two ways', file(`{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4), /'a' occurs twice/],
  ['a field twice', file('{"a":{"dtype":"F32","dtype":"U8","shape":[4],"data_offsets":[0,4]}}', 4), /'dtype' occurs/],
  ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}'), /'__metadata__' occurs twice/],
  ['metadata that is a list', file('{"__metadata__":[]}'), /__metadata__ is not an object/],
  ['metadata that is a number', file('{"__metadata__":{"a":1}}'), /the metadata 'a' is not a string/],
  ['metadata that is an object', file('{"__metadata__":{"a":{}}}'), /the metadata 'a' is not a string/],
  ['an entry that is null', file('{"a":null}'), /entry of 'a' is not an object/],
  ['an unknown type', file(`{"a":${entry(0, 4, [1], 'F99')}}`, 4), /'a' has the type "F99"; known are/],
  ['a type that is not read', file(`{"a":${entry(0, 4, [2], 'BF16')}}`, 4), /BF16/],
  ['no type', file('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), /type undefined/],
  ['a type of the prototype', file(`{"a":${entry(0, 4, [1], 'constructor')}}`, 4), /known are/],
  ['a negative length', file(`{"a":${entry(0, 4, [-1])}}`, 4), /shape of 'a'/],
  ['a length that is no integer', file(`{"a":${entry(0, 4, [1.5])}}`, 4), /shape of 'a'/],
  ['a length that is text', file(`{"a":${entry(0, 4, ['1'])}}`, 4), /shape of 'a'/],
  ['a shape that is a number', file(`{"a":${entry(0, 4, 1)}}`, 4), /shape of 'a'/],
  ['a shape beyond 2^53', file(`{"a":${entry(0, 4, [2 ** 40, 2 ** 40])}}`, 4), /takes .* bytes/],
  ['a shape times 0', file(`{"a":${entry(0, 4, [2 ** 50, 2 ** 50, 0])}}`, 4), /takes 0 bytes/],
  ['a shape that takes more', file(`{"a":${entry(0, 4, [2])}}`, 4), /takes 8 bytes, but its data_offsets are 0 and 4/],
  ['three offsets', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}', 4), /data_offsets of 'a'/],
  ['no offsets', file('{"a":{"dtype":"F32","shape":[1]}}', 4), /data_offsets of 'a'/],
  ['negative offsets', file(`{"a":${entry(-4, 0, [1])}}`, 4), /data_offsets of 'a'/],
  ['offsets that go backwards', file(`{"a":${entry(4, 0, [1])}}`, 4), /takes 4 bytes/],
  ['an offset of 1e400', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e400]}}', 4), /data_offsets of 'a'/],
  ['a gap at the start', file(`{"a":${entry(4, 8)}}`, 8), /'a' begins at byte 4 of the data, not at 0/],
  ['a gap between', file(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), /'b' begins at byte 8 of the data, not at 4/],
  ['an overlap', file(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), /'b' begins at byte 4 of the data, not at 8/],
  ['two names for the same bytes', file(`{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 4), /begins at byte 0 .*not at 4/],
  ['an unknown field', file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"strides":[1]}}'), /field 'strides'/],
]

describe('a malformed safetensors file', () => {
  it.each(abuse)('%s', (_, bytes, message) => {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'FILE_FORMAT' }))
    expect(() => decode(bytes)).toThrow(message)
  })

  it('cut off at any byte is refused', () => {
    const whole = encode(tensors, { format: 'x' })
    for (let length = 0; length < whole.length; length++) {
      expect(() => decode(whole.subarray(0, length))).toThrow(expect.objectContaining({ code: 'FILE_FORMAT' }))
    }
  })

  it('with any one bit of its header turned is read or refused, and nothing else', () => {
    const whole = encode(tensors, { format: 'x' })
    const header = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true))
    for (let bit = 0; bit < header * 8; bit++) {
      const turned = whole.slice()
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        decode(turned)
      } catch (error) {
        expect(error).toMatchObject({ code: 'FILE_FORMAT' })
      }
    }
  })
})
