import { describe, expect, test } from 'vitest'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { meanOf } from '../../lib/data/statistics.js'
import { commandText } from '../../lib/platform/package.js'
import { amountText, bytesText, countText, shortened, tableLines } from '../../lib/table.js'
import { durationText, percent, rateText } from '../../lib/train/log.js'

describe('a command', () => {
  test.each([
    [['train', '--out', "it's"], "npx vggnet train --out 'it'\\''s'"],
    [['train', '--images', 'a b.gz', '--variant=D'], "npx vggnet train --images 'a b.gz' --variant=D"],
    [['report', "it's\n\x1b\u009b"], "npx vggnet report $'it\\'s\\x0a\\x1b\\u009b'"],
  ])('%j survives a shell', (words, text) => {
    expect(commandText(words)).toBe(text)
  })
})

describe('numbers as text', () => {
  test.each([
    [durationText(0.4), '0 s'],
    [durationText(59.6), '1 min 00 s'],
    [durationText(125), '2 min 05 s'],
    [durationText(11_520), '3 h 12 min'],
    [percent(0.98655), '98.66 %'],
    [rateText(0.01), '0.01'],
    [rateText(0.0166667), '0.0167'],
    [rateText(1e-4), '1e-4'],
    [rateText(1.25e-5), '1.25e-5'],
    [rateText(0), '0'],
    [countText(138_357_544), '138,357,544'],
    [amountText(999), '999'],
    [amountText(15_470_264_320), '15.47 G'],
    [bytesText(1023), '1023 B'],
    [bytesText(553_430_176), '527.8 MiB'],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected)
  })

  test('a table with control characters in its cells stands in columns', () => {
    const columns = [
      { title: 'na\tme', align: 'left' },
      { title: 'n', align: 'right' },
    ] as const
    expect(tableLines(columns, [['a\x1b[8mb', '5']])).toEqual(['na\\x09me   n', '---------  -', 'a\\x1b[8mb  5'])
  })

  test('a table stands in columns', () => {
    const columns = [
      { title: 'name', align: 'left' },
      { title: 'n', align: 'right' },
    ] as const
    expect(
      tableLines(columns, [
        ['conv1_1', '5'],
        ['fc', '100'],
      ]),
    ).toEqual(['name       n', '-------  ---', 'conv1_1    5', 'fc       100'])
  })

  describe('a table that is wider than the terminal', () => {
    const columns = [
      { title: 'class', align: 'left' },
      { title: 'accuracy', align: 'right' },
      { title: 'mountain_and_glacier', align: 'right' },
    ] as const
    const rows = [
      ['mountain_and_glacier', '100.00 %', '1,234'],
      ['sea', '3.00 %', '7'],
    ]

    test.each([
      [60, ['class                 accuracy  mountain_and_glacier']],
      [36, ['class         accuracy  mountain_an…']],
      [30, ['class         accuracy  mount…']],
      [
        25,
        ['class         accuracy …', '------------  --------', 'mountain_an…  100.00 % …', 'sea             3.00 % …'],
      ],
    ])('of %d columns', (width, first) => {
      const lines = tableLines(columns, rows, width)
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
      expect(lines[0]).toBe(first[0])
      if (first.length > 2) expect(lines).toEqual(first)
    })
  })

  test.each([
    ['holiday', 7, 'holiday'],
    ['holiday.jpg', 8, 'holiday…'],
    ['batch of 1,234 images', 13, 'batch of…'],
    ['conv (12)', 8, 'conv (…'],
  ])('%s in %d characters', (text, width, expected) => {
    expect(shortened(text, width)).toBe(expected)
  })
})

test('meanOf is the mean of each channel over all images', async () => {
  const images = Uint8Array.from({ length: 300 * 6 }, (_, index) => (index % 3) * 10 + (index < 900 ? 0 : 4))
  const data = arrayDataset({ images, shape: [300, 1, 2, 3], labels: new Array(300).fill(0) })
  const means = await meanOf(data)
  expect(means.map((mean) => Number(mean.toFixed(9)))).toEqual([2, 12, 22])
})
