import path from 'node:path'
import { expect, test } from 'vitest'
import { writeFeatures } from '../../lib/embed/feature-file.js'
import { nearest } from '../../lib/embed/nearest.js'
import { Random } from '../../lib/random.js'
import { Tensor } from '../../lib/tensor.js'
import { featureDescription } from '../setup/feature-rows.js'
import { newFolder } from '../setup/folder.js'

const description = (length: number) => featureDescription([{ layer: 'relu7', pool: 'mean', start: 0, length }])

const random = new Random(1)
const values = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.uniform(-1, 1))

/** Writes rows of features, the image of row i named i and of class i % 3 - 1. */
async function written(rows: Iterable<Float32Array>, count: number, length: number): Promise<string> {
  const file = path.join(newFolder(), 'features.safetensors')
  const names = Array.from({ length: count }, (_, index) => String(index))
  const labels = Int32Array.from(names, (_, index) => (index % 3) - 1)
  await writeFeatures(file, { description: description(length), labels, names, rows })
  return file
}

/** The cosines of all rows by their definition. */
function cosines(rows: Float32Array, query: Float32Array): number[] {
  const { length } = query
  return Array.from({ length: rows.length / length }, (_, index) => {
    const row = rows.subarray(index * length, (index + 1) * length)
    const product = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)
    return product(row, query) / Math.sqrt(product(row, row) * product(query, query))
  })
}

test('finds what a comparison with every row finds, in order', async () => {
  // more than one block of 4 MiB
  const [count, length] = [12_000, 100]
  const rows = values(count * length)
  const file = await written([rows], count, length)
  const queries = values(3 * length)
  const found = await nearest(file, Tensor.from(queries, [3, length]), { top: 20 })
  for (const [query, neighbours] of found.entries()) {
    const all = cosines(rows, queries.subarray(query * length, (query + 1) * length))
    const order = all.map((_, index) => index).sort((a, b) => (all[b] ?? 0) - (all[a] ?? 0))
    expect(neighbours.map(({ index }) => index)).toEqual(order.slice(0, 20))
    for (const { index, similarity, name, class: label } of neighbours) {
      expect(similarity).toBeCloseTo(all[index] ?? 0, 12)
      expect([name, label]).toEqual([String(index), [null, 'cat', 'dog'][index % 3]])
    }
  }
})

test('lists equal rows as in the file, and rows of zeros as dissimilar', async () => {
  const rows = Float32Array.of(0, 0, 2, 0, 1, 0, -1, 0, 3, 0)
  const file = await written([rows], 5, 2)
  const [found = []] = await nearest(file, Tensor.from(Float32Array.of(0.5, 0), [1, 2]), { top: 10 })
  expect(found.map(({ index, similarity }) => [index, similarity])).toEqual([
    [1, 1],
    [2, 1],
    [4, 1],
    [0, 0],
    [3, -1],
  ])
  const [first = []] = await nearest(file, Tensor.from(Float32Array.of(0.5, 0), [1, 2]), { top: 2 })
  expect(first).toEqual(found.slice(0, 2))
})

test('holds a small part of a large file', async () => {
  const [count, length, perBlock] = [200_000, 128, 20_000]
  const block = values(perBlock * length)
  const file = await written(Array<Float32Array>(count / perBlock).fill(block), count, length)
  const query = Tensor.from(block.slice(0, length), [1, length])
  global.gc?.()
  const before = process.memoryUsage()
  let most = 0
  const watch = setInterval(() => {
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    most = Math.max(most, arrayBuffers - before.arrayBuffers, heapUsed - before.heapUsed)
  }, 1)
  const [found = []] = await nearest(file, query)
  clearInterval(watch)
  expect(found.map(({ index }) => index)).toEqual([0, 20_000, 40_000, 60_000, 80_000])
  // of 102 MB
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(32e6)
})

test.each<[string, Tensor | undefined, object, string, string]>([
  ['queries of another length', Tensor.zeros([1, 3]), {}, 'SHAPE_MISMATCH', 'Expected queries of 2 features'],
  ['a single row without an axis of queries', Tensor.zeros([2]), {}, 'SHAPE_MISMATCH', 'received shape [2]'],
  ['another type', Tensor.zeros([1, 2], { dtype: 'int32' }), {}, 'INVALID_ARGUMENT', 'a float32 Tensor'],
  ['no tensor', undefined, {}, 'INVALID_ARGUMENT', 'a float32 Tensor'],
  [
    'values that are not finite',
    Tensor.from(Float32Array.of(1, Number.NaN), [1, 2]),
    {},
    'NOT_FINITE',
    'query 0 has NaN',
  ],
  ['no neighbours', Tensor.zeros([1, 2]), { top: 0 }, 'INVALID_ARGUMENT', 'top'],
  ['an aborted search', Tensor.zeros([1, 2]), { signal: AbortSignal.abort() }, 'ABORTED', 'The search'],
])('refuses %s', async (_, queries, options, code, message) => {
  const file = await written([Float32Array.of(1, 2)], 1, 2)
  const search = nearest(file, queries as Tensor<'float32'>, options)
  await expect(search).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
})
