import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isCaffe, openCaffe } from '../../lib/weights/containers/caffe.js'
import type { WeightFile } from '../../lib/weights/containers/weight-file.js'
import { goldenParameters, readGolden } from '../reference/golden.js'
import {
  blobOf,
  field,
  floats,
  layerField,
  lyingField,
  oldLayerField,
  packedDoubles,
  packedFloats,
  shapeField,
} from '../setup/caffe-bytes.js'
import { newFolder } from '../setup/folder.js'

const golden = (name: string) => fileURLToPath(new URL(`../golden/foreign/${name}.caffemodel`, import.meta.url))

async function open(file: string): Promise<WeightFile> {
  const opened = await openCaffe(file)
  onTestFinished(() => opened.close())
  return opened
}

async function openBytes(...parts: Buffer[]): Promise<WeightFile> {
  const file = path.join(newFolder(), 'net.caffemodel')
  writeFileSync(file, Buffer.concat(parts))
  return open(file)
}

/** All elements of a tensor, read in pieces of `piece`. */
async function valuesOf(file: WeightFile, name: string, piece = 1000): Promise<number[]> {
  const tensor = file.tensors.find((one) => one.name === name)
  if (tensor === undefined) throw new Error(`no ${name}`)
  const values = new Float32Array(tensor.shape.reduce((product, length) => product * length, 1))
  for (let begin = 0; begin < values.length; begin += piece)
    await file.read(tensor, values.subarray(begin, begin + piece), begin)
  return [...values]
}

describe.each(['caffe-v1', 'caffe-face'])('the network %s, written by the messages of Caffe', (name) => {
  test('has the parameters that were written', async () => {
    const file = await open(golden(name))
    const { case: written } = readGolden(`foreign/${name}`)
    expect(file.metadata).toEqual({ name })
    const names: string[] = []
    for (const { name: parameter, shape, data } of goldenParameters(written)) {
      const blob = parameter.replace('.weight', '.0').replace('.bias', '.1')
      expect(file.tensors.find((tensor) => tensor.name === blob)).toEqual({ name: blob, shape, type: 'F32' })
      expect(await valuesOf(file, blob), blob).toEqual([...data])
      names.push(blob)
    }
    expect(file.tensors.map((tensor) => tensor.name)).toEqual(names)
    expect(await file.digest()).toBe(
      createHash('sha256')
        .update(readFileSync(golden(name)))
        .digest('hex'),
    )
  })

  test('has its layers with their options', async () => {
    const { layers } = await open(golden(name))
    const options = { kernel_size: 3, stride: 1, pad: 1, dilation: 1, group: 1 }
    expect(layers[0]).toEqual({ name: 'conv1_1', kind: 'Convolution', options })
    expect(layers[1]).toEqual({ name: 'relu1_1', kind: 'ReLU', options: {} })
    const pool = { pool: 'MAX', kernel_size: 2, stride: 2, pad: 0, global_pooling: false }
    expect(layers.find((layer) => layer.name === 'pool5')).toEqual({ name: 'pool5', kind: 'Pooling', options: pool })
    expect(layers.at(-1)).toEqual({ name: 'prob', kind: 'Softmax', options: {} })
    expect(layers.at(-2)).toEqual({ name: 'fc8', kind: 'InnerProduct', options: { transpose: false } })
  })
})

test('a list may be packed, in parts, without packing, and of doubles', async () => {
  const parts = Buffer.concat([shapeField(6), packedFloats(5, [1, 2]), floats(5, [3, 4, 5]), packedFloats(5, [6])])
  const doubles = Buffer.concat([shapeField(2), packedDoubles(8, [0.1, -2])])
  const file = await openBytes(layerField('a', 'Bias', [parts, doubles]))
  expect(file.tensors.map(({ type }) => type)).toEqual(['F32', 'F64'])
  for (const piece of [1, 4, 6]) expect(await valuesOf(file, 'a.0', piece)).toEqual([1, 2, 3, 4, 5, 6])
  expect(await valuesOf(file, 'a.1', 1)).toEqual([Math.fround(0.1), -2])
})

test('options of height and width, and of holes, are read in both forms', async () => {
  const options = Buffer.concat([
    field(4, 3),
    field(9, 2),
    field(10, 1),
    field(6, 2),
    field(6, 1),
    field(18, 6),
    field(5, 2),
  ])
  const expected = { kernel_size: 3, stride: '2x1', pad: '2x1', dilation: 6, group: 2 }
  const file = await openBytes(
    layerField('a', 'Convolution', [blobOf(1)], field(106, options)),
    oldLayerField('b', 4, [blobOf(1)], field(10, options)),
    oldLayerField('c', 17, [], field(19, Buffer.concat([field(1, 1), field(12, 1), field(7, 2)]))),
    oldLayerField('d', 99, []),
  )
  expect(file.layers.slice(0, 2).map((layer) => layer.options)).toEqual([expected, expected])
  expect(file.layers[2]?.options).toMatchObject({ pool: 'AVE', stride: '2x1', global_pooling: true })
  expect(file.layers[3]?.kind).toBe('type 99')
})

test('blobs of four axes lose those that their layer does not have', async () => {
  const of = (shape: number[], values: number[]) =>
    Buffer.concat([...shape.map((length, axis) => field(axis + 1, length)), packedFloats(5, values)])
  const file = await openBytes(
    oldLayerField('conv', 4, [of([1, 1, 1, 2], [1, 2]), of([1, 1, 1, 1], [3])]),
    oldLayerField('fc', 14, [of([1, 1, 1, 2], [1, 2]), of([1, 1, 1, 1], [3])]),
    oldLayerField('other', 26, [of([1, 1, 2, 1], [1, 2])]),
  )
  const shapes = file.tensors.map(({ name, shape }) => [name, shape])
  expect(shapes).toEqual([
    ...[
      ['conv.0', [1, 1, 1, 2]],
      ['conv.1', [1]],
    ],
    ...[
      ['fc.0', [1, 2]],
      ['fc.1', [1]],
    ],
    ['other.0', [2, 1]],
  ])
})

test('a network is recognised by its first fields, and as text', () => {
  const layer = layerField('a', 'Bias', [blobOf(1)])
  const head = (...parts: (Uint8Array | string)[]) =>
    isCaffe(
      parts
        .map((part) => Buffer.from(part as string, 'latin1').toString('latin1'))
        .join('')
        .slice(0, 1000),
    )
  expect([golden('caffe-v1'), golden('caffe-face')].map((file) => head(readFileSync(file)))).toEqual([true, true])
  expect(head(layer)).toBe(true)
  expect(head(field(1, 'net'), field(3, 'data'), field(4, 1), oldLayerField('a', 4, []))).toBe(true)
  expect(head('# VGG\n\nname: "VGG_ILSVRC_16_layers"\ninput: "data"')).toBe(true)
  expect(head('layers {\n')).toBe(true)

  expect(head('name of the classes')).toBe(false)
  expect(head('\x08\x03\x12\x07pytorch')).toBe(false) // ONNX
  expect(head(field(1, Buffer.concat([field(1, 'x'), field(2, 'Placeholder')])))).toBe(false) // a graph of TensorFlow
  expect(head('\x80\x02\x8a\x0a', '\x89HDF\r\n\x1a\n')).toBe(false)
  expect(head(Buffer.alloc(1000))).toBe(false)
  expect(head('')).toBe(false)
  expect(head(field(1, 'net'))).toBe(false)
  expect(head(field(2, field(9, 'not of a layer')))).toBe(false)
})

describe('a file that is not a network is an error of the format', () => {
  const blob = blobOf(1, 2, 3)
  test.each<[what: string, bytes: Buffer, message: RegExp]>([
    ['text', Buffer.from('name: "net"\nlayers {'), /\.prototxt.*give the \.caffemodel/],
    ['without weights', layerField('a', 'ReLU', []), /no weights/],
    ['of the oldest form', field(2, field(1, field(1, 'conv'))), /V0 .*upgrade_net_proto_binary/],
    ['a layer twice', Buffer.concat([layerField('a', 'Bias', [blob]), layerField('a', 'Bias', [blob])]), /a\.0 twice/],
    [
      'too few elements',
      layerField('a', 'Bias', [Buffer.concat([shapeField(4), packedFloats(5, [1])])]),
      /a\.0 of shape \[4\] has 1 elements/,
    ],
    [
      'lengths beyond numbers',
      layerField('a', 'Bias', [Buffer.concat([shapeField(2 ** 50, 2 ** 50), packedFloats(5, [1])])]),
      /has 1 elements/,
    ],
    [
      '40 axes',
      layerField('a', 'Bias', [Buffer.concat([shapeField(...Array<number>(40).fill(1)), packedFloats(5, [1])])]),
      /40 axes/,
    ],
    [
      'an element and a half',
      layerField('a', 'Bias', [Buffer.concat([shapeField(1), field(5, Buffer.alloc(6))])]),
      /no list of numbers of 4 bytes/,
    ],
    [
      'integers as elements',
      layerField('a', 'Bias', [Buffer.concat([shapeField(1), field(5, 7)])]),
      /no list of numbers of 4 bytes/,
    ],
    ['a blob of 4 GB', field(100, lyingField(7, 2 ** 32, Buffer.alloc(4))), /field 7 at byte .*is the file truncated/],
    ['a layer of 2^60 bytes', lyingField(100, 2 ** 60, layerField('a', 'Bias', [blob])), /is the file truncated/],
    ['a name of a megabyte', field(100, field(1, Buffer.alloc(2 ** 20, 97))), /1048576 bytes; at most 1000/],
    ['a name that is a number', field(100, field(1, 7)), /is a varint where/],
    ['a layer that is a number', field(100, 7), /is a varint where/],
    ['a number without end', Buffer.alloc(40, 0xff), /a number of more than 10 bytes/],
    ['the field 0', Buffer.from([0, 0, 0, 0]), /no field begins at byte 0/],
    ['a group', Buffer.from([0x0b, 0x0c]), /no field begins at byte 0/],
    ['nothing', Buffer.alloc(0), /no weights/],
    ['many fields', Buffer.alloc(2 ** 18, field(100, '')), /more than 65536 fields/],
    ['many numbers in a layer', field(100, field(106, Buffer.alloc(2 ** 18, field(3, 1)))), /more than 65536 fields/],
    [
      'many floats without packing',
      field(100, field(7, Buffer.alloc(5 * 2 ** 20, floats(5, [1])))),
      /has 1048576 elements/,
    ],
    [
      'messages in messages',
      Array.from({ length: 5000 }).reduce<Buffer>((inner) => field(7, inner), Buffer.from([])),
      /no weights/,
    ],
  ])('%s', async (_, bytes, message) => {
    await expect(openBytes(bytes)).rejects.toThrow(
      expect.objectContaining({ code: 'FILE_FORMAT', message: expect.stringMatching(message) }),
    )
  })

  test('cut anywhere, or of other bytes', async () => {
    const whole = Buffer.concat([
      field(1, 'net'),
      layerField('a', 'Convolution', [blob, blob], field(106, field(4, 3))),
    ])
    for (let length = 5; length < whole.length; length++)
      await expect(openBytes(whole.subarray(0, length)), `${length} bytes`).rejects.toThrow(
        expect.objectContaining({ code: 'FILE_FORMAT' }),
      )
    // xorshift: any byte may become any other, and a file remains one or is refused
    let state = 1
    const random = (below: number) => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % below
    }
    let opened = 0
    for (let round = 0; round < 150; round++) {
      const changed = Buffer.from(whole)
      for (let times = 0; times < 3; times++) changed[random(whole.length)] = random(256)
      const file = await openBytes(changed).catch((error) => {
        expect(error).toMatchObject({ code: 'FILE_FORMAT' })
      })
      for (const { name } of file?.tensors ?? []) await valuesOf(file as WeightFile, name)
      opened += file === undefined ? 0 : 1
    }
    expect(opened).toBeGreaterThan(10)
    expect(opened).toBeLessThan(140)
  })
})
