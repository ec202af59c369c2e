import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { paddedDataset, withClasses } from '../../lib/data/derived.js'
import { type ImageSize, readImage } from '../../lib/data/images/image.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { idxDataset } from '../../lib/data/sources/idx.js'

const two = { images: new Uint8Array(2 * 28 * 28), shape: [2, 28, 28, 1], labels: [0, 1] }
const red = { create: { width: 40, height: 40, channels: 3, background: 'red' } } as const
const png = await sharp(red).png().toBuffer()
const size = { height: 32, width: 32, channels: 3 } as const

// Plain JavaScript can pass values that TypeScript rejects.
describe('misspelt and out-of-range options are rejected by name', () => {
  const misspelt = { classnames: ['a', 'b'] } as object

  test.each([
    ['arrayDataset', () => arrayDataset({ ...two, ...misspelt }), /classnames/],
    ['arrayDataset labels', () => arrayDataset({ ...two, labels: 'ab' as never }), /an array of integers for labels/],
    ['paddedDataset background', () => paddedDataset(arrayDataset(two), size, 300), /from 0 to 255 for background/],
    ['paddedDataset size', () => paddedDataset(arrayDataset(two), { height: 32.5, width: 32 }), /integer .*for height/],
    ['withClasses', () => withClasses(arrayDataset(two), 'ab' as never), /for classNames/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }))
  })

  test.each([
    ['idxDataset', () => idxDataset({ images: 'a', labels: 'b', ...misspelt }), /classnames/],
    ['readImage option', () => readImage(png, size, { smallestSize: 40 } as object), /smallestSize/],
    [
      'readImage channels',
      () => readImage(png, { ...size, channels: 2 } as unknown as ImageSize),
      /1 or 3 for channels/,
    ],
    ['readImage height', () => readImage(png, { ...size, height: -1 }), /for height/],
  ])('%s', async (_, call, message) => {
    await expect(call()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) })
  })
})
