import { describe, expect, test } from 'vitest'
import {
  type CropBox,
  centreCropBox,
  cropOptionsFrom,
  drawCropBox,
  evaluationSide,
  rescaledSize,
} from '../../lib/data/images/crop.js'
import { Random } from '../../lib/random.js'

const boxesOf = (
  count: number,
  size: { height: number; width: number },
  given: Parameters<typeof cropOptionsFrom>[0],
) => {
  const options = cropOptionsFrom(given)
  return Array.from({ length: count }, (_, index) => drawCropBox(Random.at(7, 3, index), size, options))
}

/** Pearson's chi-square of integers from 0 to `cells - 1` against all being equally likely, in standard deviations. */
function chiSquare(values: readonly number[], cells: number): number {
  expect(values.filter((value) => !(Number.isInteger(value) && value >= 0 && value < cells))).toEqual([])
  const counts = new Uint32Array(cells)
  for (const value of values) counts[value] += 1
  const expected = values.length / cells
  const sum = counts.reduce((total, count) => total + (count - expected) ** 2 / expected, 0)
  return (sum - (cells - 1)) / Math.sqrt(2 * (cells - 1))
}

const inside = ({ height, width, top, left }: CropBox, crop: readonly [number, number]) =>
  top >= 0 && left >= 0 && top + crop[0] <= height && left + crop[1] <= width

describe('rescaledSize', () => {
  test.each([
    // [height, width] of the file, S, [height, width]: the other side by hand
    [375, 500, 256, 256, 341], // 341.33
    [500, 375, 256, 341, 256],
    [300, 301, 224, 224, 225], // 224.75
    [480, 640, 384, 384, 512],
    [7, 7, 256, 256, 256],
    [10, 3, 32, 107, 32], // 106.67: enlarged
    [1000, 1001, 224, 224, 224],
    [256, 341, 256, 256, 341],
  ])('%dx%d with S = %d is %dx%d', (height, width, smallestSide, newHeight, newWidth) => {
    expect(rescaledSize({ height, width }, smallestSide)).toEqual({ height: newHeight, width: newWidth })
  })

  test('the smallest side is S, and the aspect ratio is kept to half a pixel, for any image', () => {
    const random = new Random(1)
    for (let round = 0; round < 2000; round++) {
      const size = { height: 1 + random.integer(4000), width: 1 + random.integer(4000) }
      const smallestSide = 1 + random.integer(600)
      const { height, width } = rescaledSize(size, smallestSide)
      expect(Math.min(height, width)).toBe(smallestSide)
      const [long, short] = [Math.max(size.height, size.width), Math.min(size.height, size.width)]
      expect(Math.abs(Math.max(height, width) - (smallestSide * long) / short)).toBeLessThanOrEqual(0.5 + 1e-9)
      expect(height >= width).toBe(size.height >= size.width || height === width)
    }
  })
})

describe('drawCropBox', () => {
  // S = 24 of an image of 30x40: 24x32, a crop of 16 has 9 rows and 17 columns to begin at
  const given = { crop: 16, smallestSide: 24 }

  test.each([
    { size: { height: 30, width: 40 }, rows: 9, columns: 17 },
    { size: { height: 40, width: 30 }, rows: 17, columns: 9 },
  ])('every offset of an image of $size.height x $size.width is as likely as the others', ({ size, rows, columns }) => {
    const boxes = boxesOf(60_000, size, given)
    expect(
      Math.abs(
        chiSquare(
          boxes.map(({ top }) => top),
          rows,
        ),
      ),
    ).toBeLessThan(4)
    expect(
      Math.abs(
        chiSquare(
          boxes.map(({ left }) => left),
          columns,
        ),
      ),
    ).toBeLessThan(4)
    // and the two are independent: all pairs are as likely
    expect(
      Math.abs(
        chiSquare(
          boxes.map(({ top, left }) => top * columns + left),
          rows * columns,
        ),
      ),
    ).toBeLessThan(4)
  })

  test('S is uniformly distributed over [256, 512], both ends included', () => {
    const boxes = boxesOf(60_000, { height: 375, width: 500 }, { crop: 224, smallestSide: [256, 512] })
    expect(
      Math.abs(
        chiSquare(
          boxes.map(({ smallestSide }) => smallestSide - 256),
          257,
        ),
      ),
    ).toBeLessThan(4)
    for (const box of boxes.slice(0, 2000)) {
      expect(box.height).toBe(box.smallestSide)
      expect(box.width).toBe(Math.round((box.smallestSide * 500) / 375))
      expect(inside(box, [224, 224])).toBe(true)
    }
  })

  test('the offset is uniform within each S: its mean is the middle', () => {
    const boxes = boxesOf(40_000, { height: 400, width: 400 }, { crop: 224, smallestSide: [256, 512] })
    const shares = boxes.map(({ top, height }) => (top + 0.5) / (height - 224 + 1))
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
    // a uniform number of [0, 1] has deviation 0.289
    expect(Math.abs(mean - 0.5)).toBeLessThan((5 * 0.289) / Math.sqrt(shares.length))
  })

  test('an image of the size of the crop has one box', () => {
    for (const box of boxesOf(20, { height: 32, width: 32 }, { crop: 32, smallestSide: 32 })) {
      expect(box).toEqual({ smallestSide: 32, height: 32, width: 32, top: 0, left: 0 })
    }
    const wide = boxesOf(2000, { height: 32, width: 34 }, { crop: 32, smallestSide: 32 })
    expect(new Set(wide.map(({ top }) => top))).toEqual(new Set([0]))
    expect(new Set(wide.map(({ left }) => left))).toEqual(new Set([0, 1, 2]))
  })

  test('an image smaller than the crop is enlarged', () => {
    for (const box of boxesOf(200, { height: 3, width: 5 }, { crop: 32, smallestSide: [36, 40] })) {
      expect(Math.min(box.height, box.width)).toBe(box.smallestSide)
      expect(box.smallestSide).toBeGreaterThanOrEqual(36)
      expect(inside(box, [32, 32])).toBe(true)
    }
  })

  test('a crop that is not square fits into landscape and portrait images', () => {
    for (const size of [
      { height: 90, width: 200 },
      { height: 200, width: 90 },
    ]) {
      for (const box of boxesOf(500, size, { crop: [32, 48], smallestSide: [48, 60] })) {
        expect(inside(box, [32, 48])).toBe(true)
      }
    }
  })

  test('draws three numbers whatever the options, so that the next draws do not depend on them', () => {
    const numberAfter = (given: Parameters<typeof cropOptionsFrom>[0]) => {
      const random = new Random(5)
      drawCropBox(random, { height: 375, width: 500 }, cropOptionsFrom(given))
      return random.next()
    }
    const three = new Random(5)
    for (let draw = 0; draw < 3; draw++) three.next()
    const expected = three.next()
    expect(numberAfter({ crop: 224 })).toBe(expected)
    expect(numberAfter({ crop: 224, smallestSide: [256, 512] })).toBe(expected)
    expect(numberAfter({ crop: 224, randomCrop: false })).toBe(expected)
    expect(numberAfter({ crop: 224, smallestSide: 224 })).toBe(expected)
  })

  test('without random crops it is the centre crop, and S is still drawn', () => {
    const boxes = boxesOf(300, { height: 50, width: 80 }, { crop: 32, smallestSide: [34, 44], randomCrop: false })
    expect(new Set(boxes.map(({ smallestSide }) => smallestSide)).size).toBe(11)
    for (const { top, left, height, width } of boxes) {
      expect([top, left]).toEqual([Math.floor((height - 32) / 2), Math.floor((width - 32) / 2)])
    }
  })
})

describe('centreCropBox', () => {
  test('is the centre crop at S, or at the middle of its range', () => {
    const size = { height: 375, width: 500 }
    expect(centreCropBox(size, { crop: [224, 224], smallestSide: 256 })).toEqual({
      smallestSide: 256,
      height: 256,
      width: 341,
      top: 16,
      left: 58,
    })
    expect(centreCropBox(size, { crop: [224, 224], smallestSide: [256, 512] })).toMatchObject({
      smallestSide: 384,
      height: 384,
      width: 512,
      top: 80,
      left: 144,
    })
    expect(evaluationSide([256, 513])).toBe(385)
    for (const wrong of [0, [256], [300, 200], '256', Number.NaN])
      expect(() => evaluationSide(wrong as number)).toThrow(/for smallestSide/)
  })
})

describe('cropOptionsFrom', () => {
  test('the default S is 256/224 of the crop, and a range of one value is that value', () => {
    expect(cropOptionsFrom({ crop: 224 })).toEqual({ crop: [224, 224], smallestSide: 256, randomCrop: true })
    expect(cropOptionsFrom({ crop: [32, 28] })).toMatchObject({ crop: [32, 28], smallestSide: 37 })
    expect(cropOptionsFrom({ crop: 224, smallestSide: [256, 256] }).smallestSide).toBe(256)
  })

  test.each([
    [{ crop: 224, smallestSide: 223 }, /from 224 to 65535 for smallestSide but received 223/],
    [{ crop: 224, smallestSide: [200, 256] }, /for smallestSide\[0\] but received 200/],
    [{ crop: [32, 48], smallestSide: 40 }, /for smallestSide/],
    [{ crop: 224, smallestSide: [512, 256] }, /\[least, most\] for smallestSide/],
    [{ crop: 224, smallestSide: [256] }, /\[least, most\] for smallestSide/],
    [{ crop: 224, smallestSide: [256, 300, 512] }, /\[least, most\] for smallestSide/],
    [{ crop: 224, smallestSide: 256.5 }, /for smallestSide/],
    [{ crop: 224, smallestSide: '256' }, /for smallestSide/],
    [{ crop: 0 }, /for crop/],
    [{ crop: [224] }, /a side or \[height, width\] for crop/],
    [{ crop: [1, 2, 3] }, /for crop/],
    [{ crop: undefined }, /for crop/],
    [{ crop: 224, randomCrop: 1 }, /true or false for randomCrop/],
  ])('refuses %j', (given, message) => {
    expect(() => cropOptionsFrom(given as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => cropOptionsFrom(given as never)).toThrow(message)
  })
})
