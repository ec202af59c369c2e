import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readImage } from '../../lib/data/images/image.js'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-image-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** An image of vertical bands, one colour for each: red, green, blue, ... of equal width. */
function bands(width: number, height: number, colours: readonly (readonly number[])[]): Promise<Buffer> {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => {
    const column = Math.floor(index / 3) % width
    return colours[Math.floor((column * colours.length) / width)]?.[index % 3] ?? 0
  })
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

const red = [255, 0, 0]
const green = [0, 255, 0]
const blue = [0, 0, 255]

describe('readImage', () => {
  test('a grey image of the right size keeps every byte', async () => {
    const pixels = Uint8Array.from({ length: 32 * 32 }, (_, index) => (index * 5) & 255)
    const file = path.join(folder, 'grey.png')
    await sharp(pixels, { raw: { width: 32, height: 32, channels: 1 } })
      .png()
      .toFile(file)
    expect(await readImage(file, { height: 32, width: 32, channels: 1 })).toEqual(pixels)
  })

  test('red, green and blue in this order, row by row', async () => {
    const image = await bands(6, 2, [red, green, blue])
    const read = await readImage(image, { height: 2, width: 6, channels: 3 })
    const row = [red, red, green, green, blue, blue].flat()
    expect([...read]).toEqual([...row, ...row])
  })

  test('a wide image is cropped at both sides, not distorted', async () => {
    const image = await bands(300, 100, [red, green, blue])
    const read = await readImage(image, { height: 50, width: 50, channels: 3 })
    expect(read).toHaveLength(50 * 50 * 3)
    const middle = 25 * 50 * 3
    for (const column of [2, 25, 47]) {
      const [r = 255, g = 0, b = 255] = read.subarray(middle + column * 3, middle + column * 3 + 3)
      // values at the edges overshoot a little; a distorted image would show red and blue there
      expect([r < 10, g > 245, b < 10]).toEqual([true, true, true])
    }
  })

  test('a small image is enlarged to cover the size', async () => {
    const read = await readImage(await bands(10, 10, [green]), { height: 32, width: 48, channels: 3 })
    expect([...read.subarray(0, 3), ...read.subarray(-3)]).toEqual([...green, ...green])
  })

  test('colour becomes grey, grey becomes colour, transparent becomes black', async () => {
    const grey = await readImage(await bands(8, 8, [green]), { height: 8, width: 8, channels: 1 })
    expect(grey).toHaveLength(64)
    expect(new Set(grey).size).toBe(1)
    const back = await sharp(new Uint8Array(64).fill(77), { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toBuffer()
    expect(new Set(await readImage(back, { height: 8, width: 8, channels: 3 }))).toEqual(new Set([77]))
    const clear = await sharp(new Uint8Array(256).fill(255, 0, 3), { raw: { width: 8, height: 8, channels: 4 } })
      .png()
      .toBuffer()
    expect(new Set(await readImage(clear, { height: 8, width: 8, channels: 3 }))).toEqual(new Set([0]))
  })

  test('an image of 16 bits is reduced to 8', async () => {
    const deep = await sharp(new Uint8Array(64).fill(200), { raw: { width: 8, height: 8, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer()
    expect(new Set(await readImage(deep, { height: 8, width: 8, channels: 1 }))).toEqual(new Set([200]))
  })

  test('the EXIF orientation is applied', async () => {
    const turned = await sharp(await bands(20, 10, [red, blue]))
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer()
    const read = await readImage(turned, { height: 20, width: 10, channels: 3 })
    expect([...read.subarray(0, 3)]).toEqual(red)
    expect([...read.subarray(27, 30)]).toEqual(red)
    expect([...read.subarray(-3)]).toEqual(blue)
  })

  test('an error names the file that is no image', async () => {
    const size = { height: 8, width: 8, channels: 1 } as const
    const text = path.join(folder, 'text.png')
    await writeFile(text, 'no image')
    await expect(readImage(text, size)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringContaining(text),
    })
    const cut = path.join(folder, 'cut.png')
    const whole = await bands(100, 100, [red, green, blue])
    await writeFile(cut, whole.subarray(0, whole.length >> 1))
    await expect(readImage(cut, size)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(readImage(folder, size)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(readImage(path.join(folder, 'none.png'), size)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })
})
