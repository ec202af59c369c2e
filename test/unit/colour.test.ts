import { describe, expect, test } from 'vitest'
import {
  type ColourShift,
  colourShiftCheck,
  colourShiftOf,
  drawColourShift,
  eigenOfSymmetric,
} from '../../lib/data/images/colour.js'
import { Random } from '../../lib/random.js'

type Matrix = readonly (readonly number[])[]

/** Results of numpy.linalg.eigh, in the order and with the signs of the library. */
const goldens: { matrix: Matrix; values: number[]; vectors: Matrix }[] = [
  {
    matrix: [
      [3372.5, 3210.25, 2980],
      [3210.25, 3330, 3120.75],
      [2980, 3120.75, 3455.5],
    ],
    values: [9593.576272597793, 451.79219838250344, 112.63152901970216],
    vectors: [
      [0.5755119483180695, 0.5814734327676937, 0.5750431673609333],
      [-0.5939471824721856, -0.1861569735103361, 0.782669997921745],
      [-0.5621501060895494, 0.7919812044479504, -0.238228944556873],
    ],
  },
  {
    matrix: [
      [10, -4, 2],
      [-4, 7, -1],
      [2, -1, 5],
    ],
    values: [13.358898943540673, 4.641101056459325, 4],
    vectors: [
      [0.7995129633058381, -0.5432286605916882, 0.2562843027141497],
      [0.16566740226304072, 0.6095648357463105, 0.7752322380093524],
      // the three are equally large: the first decides, whichever rounding makes it
    ],
  },
]

const product = (a: Matrix, b: Matrix) =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((sum, value, k) => sum + value * (b[k]?.[j] ?? 0), 0)))
const transposed = (a: Matrix) => (a[0] ?? []).map((_, j) => a.map((row) => row[j] ?? 0))
const furthest = (a: Matrix, b: Matrix) =>
  Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - (b[i]?.[j] ?? Number.NaN)))))

const identity = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
]

function randomCovariance(random: Random): Matrix {
  const root = identity.map((row) => row.map(() => 60 * random.normal()))
  const symmetric = product(root, transposed(root))
  // a product and its mirror image differ in the last bit
  return symmetric.map((row, i) => row.map((value, j) => (i <= j ? value : (symmetric[j]?.[i] ?? 0))))
}

describe('eigenOfSymmetric', () => {
  test.each(goldens)('gives the values and vectors of numpy', ({ matrix, values, vectors }) => {
    const found = eigenOfSymmetric(matrix)
    found.values.forEach((value, i) => {
      expect(Math.abs(value / (values[i] ?? 0) - 1)).toBeLessThan(1e-14)
    })
    expect(furthest(vectors, found.vectors)).toBeLessThan(1e-13)
  })

  test('decomposes any covariance: orthonormal vectors, V^T L V is the matrix, largest value first', () => {
    const random = new Random(11)
    for (let round = 0; round < 300; round++) {
      const matrix = randomCovariance(random)
      const { values, vectors } = eigenOfSymmetric(matrix)
      const scale = Math.max(...values)
      expect(furthest(product(vectors, transposed(vectors)), identity)).toBeLessThan(1e-14)
      const scaled = vectors.map((vector, i) => vector.map((value) => value * (values[i] ?? 0)))
      expect(furthest(product(transposed(vectors), scaled), matrix) / scale).toBeLessThan(1e-14)
      expect([...values].sort((a, b) => b - a)).toEqual(values)
      for (const vector of vectors) expect(Math.max(...vector)).toBeGreaterThan(-Math.min(...vector))
    }
  })

  test.each([
    [
      'nothing',
      [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ],
      [0, 0, 0],
    ],
    [
      'equal values',
      [
        [5, 0, 0],
        [0, 5, 0],
        [0, 0, 5],
      ],
      [5, 5, 5],
    ],
    [
      'a diagonal',
      [
        [1, 0, 0],
        [0, 9, 0],
        [0, 0, 4],
      ],
      [9, 4, 1],
    ],
    [
      'grey images: one axis',
      [
        [100, 100, 100],
        [100, 100, 100],
        [100, 100, 100],
      ],
      [300, 0, 0],
    ],
  ])('%s', (_, matrix, values) => {
    const found = eigenOfSymmetric(matrix)
    found.values.forEach((value, i) => {
      expect(Math.abs(value - (values[i] ?? 0))).toBeLessThan(1e-12)
    })
    expect(furthest(product(found.vectors, transposed(found.vectors)), identity)).toBeLessThan(1e-14)
  })
})

describe('colourShiftOf', () => {
  test('values are standard deviations, the square roots of the eigenvalues', () => {
    const shift = colourShiftOf([
      [900, 0, 0],
      [0, 400, 0],
      [0, 0, 25],
    ])
    expect(shift).toEqual({ values: [30, 20, 5], vectors: identity, deviation: 0.1 })
  })

  test('a variance that rounding made negative counts as 0', () => {
    expect(
      colourShiftOf(
        [
          [100, 100, 100],
          [100, 100, 100],
          [100, 100, 100],
        ],
        0.2,
      ),
    ).toMatchObject({ deviation: 0.2 })
    expect(
      colourShiftOf([
        [1, 1, 0],
        [1, 1 - 1e-15, 0],
        [0, 0, 0],
      ]).values.every((value) => value >= 0),
    ).toBe(true)
  })

  test.each([
    [
      [
        [1, 2],
        [2, 1],
      ],
      /symmetric matrix of 3x3/,
    ],
    [
      [
        [1, 2, 3],
        [2, 1, 0],
        [0, 0, 1],
      ],
      /symmetric matrix of 3x3/,
    ],
    [
      [
        [1, 0, 0],
        [0, Number.NaN, 0],
        [0, 0, 1],
      ],
      /finite number for covariance\[1\]\[1\]/,
    ],
    [undefined, /for covariance/],
  ])('refuses %j', (matrix, message) => {
    expect(() => colourShiftOf(matrix as never)).toThrow(message)
  })
})

describe('drawColourShift', () => {
  const matrix = goldens[0]?.matrix ?? []

  test("the shifts have mean 0 and the pixels' covariance times the deviation squared", () => {
    const shift = colourShiftOf(matrix)
    const draws = Array.from({ length: 200_000 }, (_, index) => drawColourShift(Random.at(1, 0, index), shift))
    const mean = [0, 1, 2].map((channel) => draws.reduce((sum, draw) => sum + (draw[channel] ?? 0), 0) / draws.length)
    const covariance = [0, 1, 2].map((i) =>
      [0, 1, 2].map((j) => draws.reduce((sum, draw) => sum + (draw[i] ?? 0) * (draw[j] ?? 0), 0) / draws.length),
    )
    // standard errors: 5.8 / sqrt(200000) = 0.013 of the mean, sqrt(2 / 200000) = 0.3 % of a variance
    for (const value of mean) expect(Math.abs(value)).toBeLessThan(0.065)
    for (const [i, row] of covariance.entries()) {
      for (const [j, value] of row.entries()) {
        expect(Math.abs(value / (0.01 * (matrix[i]?.[j] ?? 0)) - 1)).toBeLessThan(0.02)
      }
    }
  })

  test('is the sum over the axes of vector * value * factor, computed by hand', () => {
    const shift: ColourShift = {
      values: [30, 20, 5],
      vectors: [
        [0.6, 0.8, 0],
        [0.8, -0.6, 0],
        [0, 0, 1],
      ],
      deviation: 0.5,
    }
    const [a, b, c] = ((random) => [random.normal(), random.normal(), random.normal()])(new Random(9)) as number[]
    const drawn = drawColourShift(new Random(9), shift)
    expect(drawn[0]).toBeCloseTo(0.5 * (0.6 * 30 * a + 0.8 * 20 * b), 12)
    expect(drawn[1]).toBeCloseTo(0.5 * (0.8 * 30 * a - 0.6 * 20 * b), 12)
    expect(drawn[2]).toBeCloseTo(0.5 * 5 * c, 12)
  })

  test('grey images stay grey', () => {
    const shift = colourShiftOf([
      [100, 100, 100],
      [100, 100, 100],
      [100, 100, 100],
    ])
    const [red, green, blue] = drawColourShift(new Random(3), shift)
    expect(Math.abs(red)).toBeGreaterThan(0.01)
    expect(Math.abs(green - red)).toBeLessThan(1e-6)
    expect(Math.abs(blue - red)).toBeLessThan(1e-6)
  })

  test('a deviation of 0 gives no shift, and draws as many numbers', () => {
    const [still, moved] = [new Random(4), new Random(4)]
    expect(drawColourShift(still, colourShiftOf(matrix, 0)).every((value) => value === 0)).toBe(true)
    drawColourShift(moved, colourShiftOf(matrix))
    expect(still.next()).toBe(moved.next())
  })
})

describe('colourShiftCheck', () => {
  test('accepts a shift that went through JSON, and nothing else', () => {
    const shift = colourShiftOf(goldens[0]?.matrix ?? [])
    expect(colourShiftCheck(JSON.parse(JSON.stringify(shift)), 'colour')).toEqual(shift)
    const wrong = [
      null,
      [],
      {},
      { ...shift, values: [1, 2] },
      { ...shift, values: [1, 2, -1] },
      {
        ...shift,
        vectors: [
          [1, 0],
          [0, 1],
          [0, 0],
        ],
      },
      { ...shift, deviation: Number.NaN },
    ]
    for (const value of wrong) expect(() => colourShiftCheck(value, 'colour')).toThrow(/for colour/)
  })
})
