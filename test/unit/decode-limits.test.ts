import { writeFileSync } from 'node:fs'
import path from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { readImage, readImageSize } from '../../lib/data/images/image.js'
import { directoriesOf } from '../../lib/data/images/tiff.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { native } from '../../lib/platform/native.js'
import { directoriesBomb, hugeJpeg, svgBomb, tiffBomb } from '../setup/bombs.js'
import { start } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { all, claimsToBe, flat, gradient, listOf, packed } from '../setup/photos.js'

const size = { height: 8, width: 8, channels: 3 } as const
const deadline = 300_000

/** What a process finds that reads these files at the same time; it is killed at the deadline. */
async function readApart(files: readonly Uint8Array[], options: object = {}) {
  const folder = newFolder()
  const names = files.map((_, index) => path.join(folder, `${index}.jpg`))
  for (const [index, bytes] of files.entries()) writeFileSync(names[index] ?? '', bytes)
  const { child, ended } = start('test/setup/read-images.ts', [JSON.stringify(names), JSON.stringify(options)])
  const timer = setTimeout(() => child.kill('SIGKILL'), deadline)
  const { code, stdout, stderr } = await ended
  clearTimeout(timer)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as { found: { bytes?: number; code?: string; message?: string }[]; peakMegabytes: number }
}

const png = () => packed(gradient(30, 40)).png().toBuffer()
const svg = (content = '') =>
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10">${content}</svg>`)

describe('SVG', () => {
  test('is rejected before it is rendered or measured, whatever the name of its file', async () => {
    const { found } = await readApart([...Array(8).fill(svgBomb()), svgBomb(''), await png()])
    const refusal = {
      code: 'FILE_FORMAT',
      message: expect.stringMatching(
        /^Expected an image for .*\.jpg but its format is svg, and those allowed are jpeg, png, webp, gif, tiff, heif: add it to formats \(--formats jpeg,png,webp,gif,tiff,heif,svg\)$/,
      ),
    }
    expect(found).toEqual([...Array(9).fill(refusal), { bytes: 64 * 64 * 3 }])
  })

  test('if allowed, is stopped at the time limit without delaying other images', async () => {
    const options = { formats: ['svg', 'png'], decodeSeconds: 1 }
    const { found } = await readApart([...Array(4).fill(svgBomb()), svgBomb(''), await png()], options)
    const refusal = {
      code: 'FILE_FORMAT',
      message: expect.stringMatching(/\.jpg but decoding it took longer than the limit of 1 s$/),
    }
    expect(found).toEqual([...Array(5).fill(refusal), { bytes: 64 * 64 * 3 }])
  })

  test('if allowed, is rendered at the size of the crop, on black', async () => {
    const half = svg('<rect width="10" height="10" fill="#c80000"/>')
    const allowed = { formats: ['svg'] } as const
    expect(await readImageSize(half, allowed)).toEqual({ height: 10, width: 20 })
    const pixels = await readImage(half, { height: 40, width: 80, channels: 3 }, allowed)
    const row = [...Array(40).fill([200, 0, 0]), ...Array(40).fill([0, 0, 0])].flat()
    expect([...pixels]).toEqual(Array(40).fill(row).flat())
    const middle = await readImage(half, { height: 10, width: 10, channels: 1 }, { ...allowed, smallestSide: 20 })
    expect(middle).toHaveLength(100)
    expect(new Set(middle.subarray(0, 5)).size).toBe(1)
  })

  test('that is damaged or larger than the limit is rejected', async () => {
    const allowed = { formats: ['svg'] } as const
    const damaged = { code: 'FILE_FORMAT', message: expect.stringContaining('it is damaged, decoding it failed') }
    await expect(readImage(svg('<rect'), size, allowed)).rejects.toMatchObject(damaged)
    await expect(readImage(svg(), size, { ...allowed, pixelLimit: 199 })).rejects.toThrow(
      'its header says 10x20 pixels, more than the limit of 199',
    )
  })
})

describe('limits', () => {
  test('a TIFF of 256 million pixels in 20 KB is stopped at the time limit', async () => {
    const { found } = await readApart([tiffBomb(16000), await png()], { decodeSeconds: 1 })
    const message = expect.stringMatching(/0\.jpg but decoding it took longer than the limit of 1 s$/)
    expect(found).toEqual([{ code: 'FILE_FORMAT', message }, { bytes: 64 * 64 * 3 }])
    expect((await readImage(tiffBomb(200), size)).length).toBe(192)
  })

  test('a progressive JPEG of 16000x16000 and a PNG of 60000x50000 are rejected by their headers', async () => {
    const jpeg = await packed(gradient(40, 50)).jpeg({ progressive: true }).toBuffer()
    const frame = jpeg.indexOf(Buffer.of(0xff, 0xc2))
    jpeg.writeUInt16BE(16000, frame + 5)
    jpeg.writeUInt16BE(16000, frame + 7)
    const { found, peakMegabytes } = await readApart([jpeg, await claimsToBe(60000, 50000)], { pixelLimit: 25e6 })
    expect(found).toEqual([
      { code: 'FILE_FORMAT', message: expect.stringMatching(/16000x16000 pixels, more than the limit of 25000000$/) },
      { code: 'FILE_FORMAT', message: expect.stringMatching(/60000x50000 pixels, more than the limit of 25000000$/) },
    ])
    expect(peakMegabytes).toBeLessThan(400)
  })

  test('an image that takes more memory than the limit is refused with the number that it needs', async () => {
    const large = hugeJpeg({ side: 2000, components: 1, scans: 1 })
    // coefficients, the pixels at 1/8, and the file
    const needed = 250 * 250 * 128 + 250 * 250 * 3 + large.length
    await expect(readImage(large, size, { decodeBytes: needed - 1 })).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: `Expected an image for the image but decoding it takes ${needed} bytes, more than the limit of ${needed - 1}: raise decodeBytes (--decode-bytes ${needed})`,
    })
    expect(await readImage(large, size, { decodeBytes: needed })).toHaveLength(192)
    const file = path.join(newFolder(), 'large.jpg')
    writeFileSync(file, Buffer.concat([large, Buffer.alloc(2 ** 20)]))
    await expect(readImage(file, size, { decodeBytes: 2 ** 20 })).rejects.toThrow(
      `it has ${large.length + 2 ** 20} bytes, more than the limit of 1048576`,
    )
  })

  test('libjpeg-turbo itself keeps to the limit and to 100 scans', async () => {
    const side = (length: number) => ({ height: length, width: length })
    const decoded = async (memoryLimit: number, scans: number) => {
      const bytes = hugeJpeg({ side: 2000, components: 1, scans }) // 8 MB of coefficients
      const box = { ...side(8), top: 0, left: 0 }
      const into = new Uint8Array(192)
      await native().decodeJpeg({ bytes, source: side(2000), box, crop: size, into, memoryLimit })
    }
    await decoded(1e7, 99)
    await expect(decoded(7e6, 1)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(decoded(1e7, 101)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
  })

  test('images that wait for memory are read as without a limit', async () => {
    const shades = [10, 90, 170, 250]
    const files = shades.map((shade) =>
      packed(flat(700, 700, [shade, shade, 7]))
        .webp()
        .toBuffer(),
    )
    const list = listOf(await Promise.all(files))
    const [limited, free] = [new Uint8Array(4 * 192), new Uint8Array(4 * 192)]
    await photoDataset(list, { crop: 8, decodeBytes: 6e6, workers: 4 }).read(all(4), limited)
    await photoDataset(list, { crop: 8, workers: 4 }).read(all(4), free)
    expect(limited).toEqual(free)
  })

  test('a JPEG of more scans than programs write is refused before any is decoded', async () => {
    const message = 'it has more than 100 scans'
    await expect(readImage(hugeJpeg({ side: 40, components: 1, scans: 100 }), size)).rejects.toThrow(message)
    expect(await readImage(hugeJpeg({ side: 40, components: 1, scans: 99 }), size)).toHaveLength(192)
  })

  test('a TIFF of more than 10,000 pages, or whose pages lead back to the first, is refused before they are read', async () => {
    const small = directoriesBomb(10)
    await expect(readImage(small, size)).rejects.toThrow('it has more than 10000 pages: save the first one by itself')
    const ended = Buffer.from(small)
    ended.writeUInt32LE(0, ended.length - 4)
    expect(directoriesOf(ended, 10_000)).toBe(10)
    expect(await readImage(ended, size)).toHaveLength(192)
    const pages = [1, 2, 3].map(() => flat(9, 9, [1, 2, 3]).data)
    const stack = sharp(Buffer.concat(pages), { raw: { width: 9, height: 27, channels: 3, pageHeight: 9 } })
    for (const bigtiff of [false, true]) {
      const bytes = await stack.clone().tiff({ bigtiff }).toBuffer()
      expect(directoriesOf(bytes, 10_000), `bigtiff ${bigtiff}`).toBe((await sharp(bytes).metadata()).pages)
      for (let length = 0; length < 40; length++) expect(directoriesOf(bytes.subarray(0, length), 9)).toBeLessThan(2)
    }
  })

  test('an image beyond a limit is unreadable: an error, or skipped', async () => {
    const sources = [await png(), svg(), await packed(gradient(60, 60)).png().toBuffer()]
    const box = { crop: 8, pixelLimit: 2000 }
    await expect(photoDataset(listOf(sources), box).read(all(3), new Uint8Array(3 * 192))).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringContaining('Expected an image for image 1 but its format is svg'),
    })
    const lenient = photoDataset(listOf(sources), { ...box, onUnreadable: 'skip' })
    const skipped = await lenient.read(all(3), new Uint8Array(3 * 192))
    expect(skipped.map(({ position, reason }) => [position, reason])).toEqual([
      [1, expect.stringContaining('its format is svg')],
      [2, 'its header says 60x60 pixels, more than the limit of 2000'],
    ])
    const allowed = photoDataset(listOf(sources), { crop: 8, formats: ['svg', 'png'] })
    expect(await allowed.read(all(3), new Uint8Array(3 * 192))).toEqual([])
  })
})

test('invalid options are rejected', async () => {
  const bytes = await png()
  for (const [options, message] of [
    [{ formats: ['jpg'] }, "Expected one of jpeg, png, webp, gif, tiff, heif, svg for formats[0] but received 'jpg'"],
    [{ formats: [] }, 'Expected at least one format for formats but received [] (array)'],
    [{ formats: 'png' }, "Expected an array for formats but received 'png' (string)"],
    [{ decodeSeconds: 0 }, 'Expected an integer from 1 to 3600 for decodeSeconds but received 0 (number)'],
    [{ pixelLimit: 1.5 }, 'Expected an integer of at least 1 for pixelLimit but received 1.5 (number)'],
    [{ decodeBytes: 1e6 }, 'Expected an integer of at least 1048576 for decodeBytes but received 1000000 (number)'],
    [{ decodeSecond: 1 }, "did you mean 'decodeSeconds'?"],
  ] as const) {
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) }
    await expect(readImage(bytes, size, options as object)).rejects.toMatchObject(error)
    await expect(readImageSize(bytes, options as object)).rejects.toMatchObject(error)
    expect(() => photoDataset(listOf([bytes]), { crop: 8, ...options } as never)).toThrow(message)
  }
})
