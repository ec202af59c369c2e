import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import type { Metrics } from '../../lib/evaluate/metrics.js'
import { classTable, confusion, embedded, filterImages } from '../../lib/report/page-evaluation.js'
import { Tensor } from '../../lib/tensor.js'

/** The figures that a confusion matrix gives. */
function metricsOf(rows: readonly (readonly number[])[], names: readonly string[]): Metrics {
  const perClass = rows.map((row, index) => {
    const count = row.reduce((sum, cell) => sum + cell, 0)
    const correct = row[index] ?? 0
    return { name: names[index] ?? '', count, correct, accuracy: count === 0 ? 0 : correct / count }
  })
  const count = perClass.reduce((sum, one) => sum + one.count, 0)
  return { count, loss: 1, top1: 0.5, top5: 1, perClass, confusion: rows }
}

/** The cells of each row of a table, as text. */
const rowsOf = (table: string): string[][] =>
  [...table.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, row = '']) =>
    [...row.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/gs)].map(([, cell = '']) => cell.replaceAll(/<[^>]*>/g, '')),
  )

const tablesOf = (text: string): string[][][] =>
  [...text.matchAll(/<table[^>]*>(.*?)<\/table>/gs)].map(([, table = '']) => rowsOf(table))

describe('confusion', () => {
  test('a matrix of counts, the true class along the rows', () => {
    const { text } = confusion(
      metricsOf(
        [
          [7, 3, 0],
          [0, 5, 0],
          [1, 2, 0],
        ],
        ['cat', 'dog', 'mug'],
      ),
    )
    expect(tablesOf(text)).toEqual([
      [
        ['true \\ predicted', 'cat', 'dog', 'mug'],
        ['cat', '7', '3', ''],
        ['dog', '', '5', ''],
        ['mug', '1', '2', '0'],
      ],
    ])
    // the shade is the share of the row
    expect(text).toContain('class="wrong" style="--s:0.30" title="cat classified as dog: 3 images, 30.00 %"')
    expect(text).toContain('class="right" style="--s:1.00" title="dog classified as dog: 5 images, 100.00 %"')
    expect(text).toContain('class="wrong" style="--s:0.67" title="mug classified as dog: 2 images, 66.67 %"')
  })

  test.each([
    { classes: 20, matrix: 'matrix large', pairs: 10 },
    { classes: 50, matrix: 'matrix dense', pairs: 10 },
    { classes: 51, matrix: undefined, pairs: 30 },
  ])('$classes classes: $matrix, and the $pairs pairs most often confused', ({ classes, matrix, pairs }) => {
    const names = Array.from({ length: classes }, (_, index) => `c${index}`)
    // class i is classified as class i + 1, i times
    const rows = names.map((_, truth) =>
      names.map((_, answer) => (truth === answer ? 100 : answer === truth + 1 ? truth : 0)),
    )
    const { text } = confusion(metricsOf(rows, names))
    expect(/class="(matrix[^"]*)"/.exec(text)?.[1]).toBe(matrix)
    const list = tablesOf(text).at(-1) ?? []
    expect(list.length).toBe(pairs + 1)
    const most = classes - 2
    expect(list[1]?.slice(0, 4)).toEqual([
      `c${most}`,
      `c${most + 1}`,
      `${most}`,
      `${((100 * most) / (100 + most)).toFixed(2)} %`,
    ])
    expect(list.slice(1).map((row) => Number(row[2]))).toEqual(
      Array.from({ length: pairs }, (_, index) => most - index),
    )
    expect(text).toContain(`${pairs} of ${classes - 2} pairs.`)
  })

  test('no mistakes', () => {
    expect(confusion(metricsOf([[4]], ['all'])).text).toContain('No image was classified as another class')
  })
})

describe('classTable', () => {
  test('lowest recall first, classes without images last', () => {
    const rows = [
      [9, 1, 0],
      [2, 2, 4],
      [0, 0, 0],
    ]
    const { text } = classTable(metricsOf(rows, ['cat', 'dog', 'mug']))
    expect(tablesOf(text)[0]?.slice(1)).toEqual([
      ['dog', '8', '2', '25.00 %', '', '66.67 %', 'mug 4'],
      ['cat', '10', '9', '90.00 %', '', '81.82 %', 'dog 1'],
      ['mug', '0', '0', '\u2013', '', '0.00 %', ''],
    ])
    expect(text).not.toContain('<details')
  })

  test('many classes are collapsed', () => {
    const rows = Array.from({ length: 30 }, (_, truth) =>
      Array.from({ length: 30 }, (_, answer) => Number(truth === answer)),
    )
    const { text } = classTable(
      metricsOf(
        rows,
        rows.map((_, index) => `c${index}`),
      ),
    )
    expect(text).toContain('<summary>5 more</summary>')
    expect(tablesOf(text).map((table) => table.length)).toEqual([26, 6])
  })
})

async function pixelsOf(uri: string) {
  const [, base64 = ''] = /^data:image\/(?:png|jpeg);base64,(.+)$/.exec(uri) ?? []
  return sharp(Buffer.from(base64, 'base64')).raw().toBuffer({ resolveWithObject: true })
}

describe('embedded', () => {
  test.each([1, 3])('a small image of %i channels is stored without loss', async (channels) => {
    const pixels = Uint8Array.from({ length: 5 * 7 * channels }, (_, position) => (position * 37) % 256)
    const { uri, width, height } = await embedded(pixels, { height: 5, width: 7, channels })
    expect(uri).toMatch(/^data:image\/png/)
    const { data, info } = await pixelsOf(uri)
    expect({ width, height }).toEqual({ width: info.width, height: info.height })
    // sharp reads grey PNG as one channel or as three equal ones
    expect(data.filter((_, position) => channels === 3 || position % info.channels === 0)).toEqual(Buffer.from(pixels))
  })

  test('a larger image is a JPEG of its size', async () => {
    const pixels = Uint8Array.from({ length: 224 * 224 * 3 }, (_, position) => Math.floor(position / 3 / 224) % 256)
    const { uri } = await embedded(pixels, { height: 224, width: 224, channels: 3 })
    expect(uri).toMatch(/^data:image\/jpeg/)
    const { data, info } = await pixelsOf(uri)
    expect(info).toMatchObject({ width: 224, height: 224, channels: 3 })
    const worst = data.reduce((most, value, position) => Math.max(most, Math.abs(value - (pixels[position] ?? 0))), 0)
    expect(worst).toBeLessThan(12)
  })

  test('of two channels the first is shown', async () => {
    const { uri } = await embedded(Uint8Array.of(1, 9, 2, 9, 3, 9, 4, 9), { height: 2, width: 2, channels: 2 })
    const { data, info } = await pixelsOf(uri)
    expect([...data].filter((_, position) => position % info.channels === 0)).toEqual([1, 2, 3, 4])
  })
})

describe('filterImages', () => {
  test('0 is mid-grey, the largest absolute value black or white; every weight a square', async () => {
    // o c h w: a window that is -2 in its first red and 1 in its last blue weight, and one of zeros
    const weight = new Float32Array(2 * 3 * 3 * 3)
    weight[0] = -2
    weight[26] = 1
    const [first, second] = await filterImages(Tensor.from(weight, [2, 3, 3, 3]))
    expect(first).toMatchObject({ width: 48, height: 48, largest: 2 })
    const { data, info } = await pixelsOf(first?.uri ?? '')
    expect(info).toMatchObject({ width: 48, height: 48, channels: 3 })
    const grey = [128, 128, 128]
    for (const [row, column, colour] of [
      [0, 0, [0, 128, 128]],
      [15, 15, [0, 128, 128]],
      [0, 16, grey],
      [16, 0, grey],
      [31, 47, grey],
      [32, 32, [128, 128, 191]],
      [47, 47, [128, 128, 191]],
    ] as const) {
      const position = 3 * (48 * row + column)
      expect([...data.subarray(position, position + 3)], `${row}, ${column}`).toEqual(colour)
    }
    expect(second?.largest).toBe(0)
    expect(new Set((await pixelsOf(second?.uri ?? '')).data)).toEqual(new Set([128]))
  })

  test('grey filters, weights that are not finite, and filters that are not images', async () => {
    const grey = await filterImages(Tensor.from(Float32Array.of(1, 0, -1, 0.5), [1, 1, 2, 2]))
    const { data, info } = await pixelsOf(grey[0]?.uri ?? '')
    const at = (row: number, column: number) => data[info.channels * (info.width * row + column)]
    expect([at(0, 0), at(0, 47), at(47, 0), at(47, 47)]).toEqual([255, 128, 0, 191])
    const broken = await filterImages(
      Tensor.from(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 0), [1, 1, 2, 2]),
    )
    expect(new Set((await pixelsOf(broken[0]?.uri ?? '')).data)).toEqual(new Set([128]))
    expect(await filterImages(Tensor.zeros([4, 2, 3, 3]))).toEqual([])
  })
})
