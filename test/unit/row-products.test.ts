import { expect, test } from 'vitest'
import { Random } from '../../lib/index.js'
import { native } from '../../lib/platform/native.js'
import { addProducts, momentsOf, productsOf } from '../../lib/probe/rows.js'

const random = new Random(1)
const normals = (length: number): Float64Array => Float64Array.from({ length }, () => random.normal())
const close = (found: Float64Array, wanted: (index: number) => number): void => {
  expect(Math.max(...found.map((value, index) => Math.abs(value - wanted(index))))).toBeLessThan(1e-11)
}

// fewer and more than the 128 columns and 8 outputs of a tile, with and without rests, on one thread and on several
test.each([
  [7, 5, 1],
  [40, 128, 8],
  [150, 300, 11],
])('products of %d rows, %d columns and %d outputs', async (count, columns, outputs) => {
  const features = Float32Array.from(normals(2 * count * columns))
  // every other row, backwards
  const rows = Int32Array.from({ length: count }, (_, index) => 2 * (count - index) - 1)
  const all = { features, columns, rows }
  const x = (row: number, column: number): number => features[(rows[row] ?? 0) * columns + column] ?? 0
  const over = (length: number, term: (index: number) => number): number => {
    let sum = 0
    for (let index = 0; index < length; index++) sum += term(index)
    return sum
  }
  const weights = normals(outputs * columns)
  const values = await productsOf(all, rows, weights)
  close(values, (index) => {
    const [row, output] = [Math.floor(index / outputs), index % outputs]
    return over(columns, (column) => x(row, column) * (weights[output * columns + column] ?? 0))
  })
  const sums = new Float64Array(outputs * columns).fill(1)
  const factors = normals(count * outputs)
  await addProducts(all, rows, factors, sums)
  close(sums, (index) => {
    const [output, column] = [Math.floor(index / columns), index % columns]
    return 1 + over(count, (row) => (factors[row * outputs + output] ?? 0) * x(row, column))
  })
  const { mean, deviation } = await momentsOf(all)
  close(mean, (column) => over(count, (row) => x(row, column)) / count)
  close(deviation, (column) => Math.sqrt(over(count, (row) => (x(row, column) - (mean[column] ?? 0)) ** 2) / count))
})

test('rows and lengths that do not fit are refused', async () => {
  const call = { x: new Float32Array(12), shape: [4, 3, 1, 1], factor: 1 as const, count: 1, outputs: 2 }
  const arrays = { rows: Int32Array.of(3), values: new Float64Array(2), weights: new Float64Array(6) }
  await native().rowProducts({ ...call, ...arrays })
  for (const row of [-1, 4]) {
    const wrong = () => native().rowProducts({ ...call, ...arrays, rows: Int32Array.of(row) })
    expect(wrong).toThrow(/Expected rows from 0 to 3/)
  }
  expect(() => native().rowProducts({ ...call, ...arrays, weights: new Float64Array(5) })).toThrow(
    /6 values for weights/,
  )
  expect(() => native().columnProducts({ ...call, ...arrays, sums: new Float64Array(7) })).toThrow(/6 values for sums/)
  expect(() => native().columnProducts({ ...call, ...arrays, outputs: 2 ** 40, sums: new Float64Array(6) })).toThrow()
})
