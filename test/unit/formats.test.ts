import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import { openImage } from '../../lib/data/images/decode.js'
import { defaultDecoding, formatOf } from '../../lib/data/images/formats.js'
import { readImage } from '../../lib/data/images/image.js'
import { coarseNoise } from '../setup/jpegs.js'
import { flat, gradient, type Pixels, packed } from '../setup/photos.js'

describe('formatOf', () => {
  const source = () => packed(gradient(20, 30))
  test.each<[string, Sharp]>([
    ['jpeg', source().jpeg()],
    ['png', source().png()],
    ['webp', source().webp()],
    ['gif', source().gif()],
    ['tiff', source().tiff()],
    ['tiff', source().tiff({ bigtiff: true })],
    ['heif', source().avif()],
  ])('%s: recognised, decoded, and refused where it is not allowed', async (format, file) => {
    const bytes = await file.toBuffer()
    expect(formatOf(bytes)).toBe(format)
    const size = { height: 20, width: 30, channels: 3 } as const
    expect(await readImage(bytes, size, { formats: [format as 'png'] })).toHaveLength(1800)
    const other = format === 'png' ? 'gif' : 'png'
    await expect(readImage(bytes, size, { formats: [other] })).rejects.toThrow(
      `but its format is ${format}, and those allowed are ${other}`,
    )
  })

  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>${' '.repeat(80)}`
  test.each([
    ['svg', ''],
    ['svg', '<?xml version="1.0"?>\n<!DOCTYPE svg>\n'],
    ['svg', '    ftypavif'],
    ['webp', 'RIFFAAAAWEBP'],
    ['webp', 'RIFFAAAAWEBPVP8 '],
    ['gif', 'GIF89aAAAAAAAAAAAA'],
    ['jpeg', '\xff\xd8'],
    ['png', '\x89PNG\r\n\x1a\n'],
    ['tiff', 'II*\0'],
    ['heif', '\0\0\0\x18ftypavif'],
    [undefined, '\0\0'],
    [undefined, '%PDF-1.4 '.padEnd(1000)],
    [undefined, 'P6 2 2 255 '.padEnd(1000)],
  ])('an SVG that begins as a %s: %j', async (format, beginning) => {
    const bytes = Buffer.from(`${beginning}${svg}`, 'latin1')
    expect(formatOf(bytes)).toBe(format)
    await expect(openImage(bytes, defaultDecoding)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    // a file recognised as another format is not rendered as an SVG by libvips
    if (format !== 'svg' && format !== undefined) await expect(sharp(bytes).metadata()).rejects.toThrow()
  })

  test('a file shorter than any signature', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.of(0xff), Buffer.from('RIFF')]) expect(formatOf(bytes)).toBe(undefined)
  })
})

const sides = [24, 33, 47, 64, 90, 93, 94, 128, 160, 187, 188, 200, 256, 300]
const read = (bytes: Uint8Array, smallestSide: number) =>
  readImage(bytes, { height: 24, width: 20, channels: 3 }, { smallestSide })

describe('the same pixels give the same bytes at every size', () => {
  test.each<[string, (pixels: Pixels) => Sharp]>([
    ['lossless WebP', (pixels) => packed(pixels).webp({ lossless: true })],
    ['TIFF', (pixels) => packed(pixels).tiff({ compression: 'lzw' })],
    ['lossless AVIF', (pixels) => packed(pixels).avif({ lossless: true, chromaSubsampling: '4:4:4', effort: 0 })],
    ['PNG, interlaced', (pixels) => packed(pixels).png({ progressive: true })],
  ])('%s and PNG', async (_, pack) => {
    const pixels = await coarseNoise(187, 251)
    const [bytes, png] = [await pack(pixels).toBuffer(), await packed(pixels).png().toBuffer()]
    for (const side of sides) expect(Buffer.compare(await read(bytes, side), await read(png, side)), `${side}`).toBe(0)
  })

  test.each([1, 3, 6])(
    'a JPEG with a profile and EXIF orientation %i, and a PNG of what it shows',
    async (orientation) => {
      const pixels = packed(await coarseNoise(187, 251))
      const jpeg = await pixels.withIccProfile('p3').withExif({}).withMetadata({ orientation }).jpeg().toBuffer()
      const png = await sharp(jpeg).autoOrient().png().toBuffer()
      expect((await openImage(jpeg, defaultDecoding)).plain).toBe(undefined)
      for (const side of sides) expect(Buffer.compare(await read(jpeg, side), await read(png, side)), `${side}`).toBe(0)
    },
  )

  test.each(['gif', 'tiff', 'webp'] as const)('the first of several pages of a %s is decoded', async (format) => {
    const pages = [flat(20, 30, [200, 40, 40]), flat(20, 30, [40, 200, 40])].map(({ data }) => Buffer.from(data))
    const raw = { height: 40, width: 30, channels: 3, pageHeight: 20 } as const
    const several = sharp(Buffer.concat(pages), { raw }).toFormat(format, { lossless: true, compression: 'lzw' })
    const bytes = await several.toBuffer()
    expect((await sharp(bytes).metadata()).pages).toBe(2)
    const [red, green] = await readImage(bytes, { height: 20, width: 30, channels: 3 })
    expect([red, green]).toEqual([200, 40])
  })
})

test('a TIFF of five channels is unreadable, not an internal error', async () => {
  const { data, ...raw } = flat(10, 12, [90])
  const more = Buffer.from(data)
  const five = packed(flat(10, 12, [90, 90, 90]))
    .joinChannel(more, { raw })
    .joinChannel(more, { raw })
  const bytes = await five.tiff({ compression: 'none' }).toBuffer()
  expect((await sharp(bytes).metadata()).channels).toBe(5)
  await expect(readImage(bytes, { height: 10, width: 12, channels: 3 })).rejects.toMatchObject({
    code: 'FILE_FORMAT',
    message: expect.stringContaining('decoding it gave 10x12x4 values instead of the expected 10x12x3'),
  })
})
