import { open, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { decode, encode, type NamedTensor } from '../../lib/checkpoint/safetensors.js'
import { descriptionKey } from '../../lib/embed/feature-description.js'
import { FeatureFile, writeFeatures } from '../../lib/embed/feature-file.js'
import { featureDescription } from '../setup/feature-rows.js'
import { newFolder } from '../setup/folder.js'

const description = featureDescription(
  [
    { layer: 'relu5_3', pool: 'mean', start: 0, length: 2 },
    { layer: 'relu5_3', pool: 'max', start: 2, length: 2 },
  ],
  { classNames: ['cat', 'größe'], model: { path: '/m.safetensors', sha256: '0'.repeat(64) }, pool: ['mean', 'max'] },
)
const names = ['a/1.jpg', '', 'ä/漢字.png', 'b\n.jpg', 'last']
const labels = Int32Array.of(0, 1, -1, 1, 0)
const values = Float32Array.from({ length: 20 }, (_, index) => index / 3 - 2)

let file = ''
const inFolder = (name: string) => path.join(path.dirname(file), name)

beforeEach(async () => {
  file = path.join(newFolder(), 'features.safetensors')
  await writeFeatures(file, { description, labels, names, rows: [values.subarray(0, 8), values.subarray(8)] })
})

describe('a file of features', () => {
  test('has exactly the tensors of the format', async () => {
    const { tensors, metadata } = decode(await readFile(file))
    const found = Object.fromEntries(tensors.map(({ name, dtype, shape }) => [name, `${dtype} ${shape}`]))
    expect(found).toEqual({ features: 'F32 5,4', labels: 'I64 5', file_offsets: 'I64 6', files: 'U8 30' })
    expect(JSON.parse(metadata[descriptionKey] ?? '')).toEqual(description)
    expect(Object.keys(metadata)).toEqual([descriptionKey])
  })

  test('is read in blocks of whole rows', async () => {
    const features = await FeatureFile.open(file)
    expect(features).toMatchObject({ count: 5, rowLength: 4, description })
    const blocks: [number, number[]][] = []
    for await (const { first, rows } of features.blocks(32)) blocks.push([first, Array.from(rows)])
    expect(blocks.map(([first, { length }]) => [first, length])).toEqual([
      [0, 8],
      [2, 8],
      [4, 4],
    ])
    expect(blocks.flatMap(([, rows]) => rows)).toEqual(Array.from(values))
    expect(await features.readLabels(1, 3)).toEqual(labels.slice(1, 4))
    expect(await features.readNames(0, 5)).toEqual(names)
    expect(await features.readNames(2, 1)).toEqual(names.slice(2, 3))
    const beyond = [features.readRows(4, new Float32Array(8)), features.readNames(5, 1), features.readLabels(-1, 2)]
    const parts = [features.readRows(0, new Float32Array(3)), ...beyond]
    for (const read of parts) await expect(read).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await features.close()
  })

  test('has an axis of scales if they are stacked', async () => {
    const stacked = inFolder('stacked.safetensors')
    const scaled = { ...description, scales: [256, 384], aggregate: 'stack' } as const
    const rows = [new Float32Array(16)]
    await writeFeatures(stacked, { description: scaled, labels: labels.slice(0, 2), names: ['a', 'b'], rows })
    const found = decode(await readFile(stacked)).tensors.find(({ name }) => name === 'features')
    expect(found?.shape).toEqual([2, 2, 4])
    const features = await FeatureFile.open(stacked)
    expect(features.rowLength).toBe(8)
    await features.close()
  })

  test('is not written with other rows than it has names', async () => {
    const write = writeFeatures(inFolder('short'), { description, labels, names, rows: [values.subarray(4)] })
    await expect(write).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  })
})

describe('a damaged or foreign file', () => {
  /** Writes a changed copy of the file. */
  async function changed(change: (tensors: NamedTensor[], metadata: Record<string, string>) => void): Promise<string> {
    const { tensors, metadata } = decode(await readFile(file))
    const copy = { tensors: [...tensors], metadata: { ...metadata } }
    change(copy.tensors, copy.metadata)
    const other = inFolder('changed.safetensors')
    await writeFile(other, encode(copy.tensors, copy.metadata))
    return other
  }
  const described = (change: object) =>
    changed((_, metadata) => {
      metadata[descriptionKey] = JSON.stringify({ ...description, ...change })
    })
  const replaced = (name: string, with_: Partial<NamedTensor>) =>
    changed((tensors) => {
      const at = tensors.findIndex((one) => one.name === name)
      tensors[at] = { ...(tensors[at] as NamedTensor), ...with_ }
    })

  test.each<[string, () => Promise<string>, string]>([
    ['no description', () => changed((_, metadata) => delete metadata[descriptionKey]), "'vggnet embed' writes"],
    ['a later version', () => described({ version: 2 }), 'update vggnet'],
    ['an unknown field', () => described({ more: 1 }), "received 'more'"],
    ['a gap of columns', () => described({ columns: [{ ...description.columns[1] }] }), 'start of the columns'],
    ['no columns', () => described({ columns: [] }), 'Expected features as F32 [5, 0]'],
    [
      'fewer labels',
      () => replaced('labels', { shape: [4], data: new BigInt64Array(4) }),
      'Expected labels as I64 [5]',
    ],
    ['no names', () => changed((tensors) => void tensors.splice(3, 1)), 'Expected files as U8 [0] but found none'],
    ['another file', async () => path.resolve('package.json'), 'but it is JSON'],
  ])('%s is refused', async (_, make, message) => {
    const opened = FeatureFile.open(await make())
    await expect(opened).rejects.toMatchObject({ code: 'FILE_FORMAT', message: expect.stringContaining(message) })
  })

  test('a missing file and a folder are named', async () => {
    await expect(FeatureFile.open('/nowhere/x')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(FeatureFile.open('.')).rejects.toMatchObject({ code: 'FILE_FORMAT' })
  })

  test('wrong values are refused where they are read', async () => {
    const data = BigInt64Array.of(0n, 1n, 2n, 0n, 0n)
    const labelled = await FeatureFile.open(await replaced('labels', { data }))
    await expect(labelled.readLabels(0, 5)).rejects.toThrow('expected a label from -1 to 1 for row 2 but found 2')
    expect(await labelled.readLabels(0, 2)).toEqual(labels.slice(0, 2))
    await labelled.close()
    for (const offset of [-1n, 2n ** 62n, 33n]) {
      const offsets = BigInt64Array.of(0n, 7n, offset, 20n, 26n, 30n)
      const named = await FeatureFile.open(await replaced('file_offsets', { data: offsets }))
      await expect(named.readNames(0, 5)).rejects.toThrow(/the name of row 1 is at bytes/)
      await named.close()
    }
    const infinite = await FeatureFile.open(
      await replaced('features', { data: values.map((value, index) => (index === 9 ? Number.NaN : value)) }),
    )
    await expect(infinite.readRows(0, new Float32Array(20))).rejects.toThrow('row 2 has NaN')
    await infinite.close()
  })

  test('a file that is cut off is refused', async () => {
    const bytes = await readFile(file)
    const cut = inFolder('cut.safetensors')
    await writeFile(cut, bytes.subarray(0, -1))
    await expect(FeatureFile.open(cut)).rejects.toThrow('truncated')
    await writeFile(cut, bytes)
    const features = await FeatureFile.open(cut)
    const handle = await open(cut, 'r+')
    await handle.truncate(100)
    await handle.close()
    await expect(features.readRows(0, new Float32Array(20))).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await features.close()
  })
})
