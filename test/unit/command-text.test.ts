import { describe, expect, test } from 'vitest'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { meanOf } from '../../lib/data/statistics.js'
import { commandText } from '../../lib/platform/package.js'
import { amountText, bytesText, countText, tableLines } from '../../lib/table.js'
import { durationText, percent, rateText } from '../../lib/train/log.js'

describe('a command', () => {
  test.each([
    [['train', '--out', "it's"], "npx vggnet train --out 'it'\\''s'"],
    [['train', '--images', 'a b.gz', '--variant=D'], "npx vggnet train --images 'a b.gz' --variant=D"],
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
})

test('meanOf is the mean of each channel over all images', async () => {
  const images = Uint8Array.from({ length: 300 * 6 }, (_, index) => (index % 3) * 10 + (index < 900 ? 0 : 4))
  const data = arrayDataset({ images, shape: [300, 1, 2, 3], labels: new Array(300).fill(0) })
  const means = await meanOf(data)
  expect(means.map((mean) => Number(mean.toFixed(9)))).toEqual([2, 12, 22])
})
