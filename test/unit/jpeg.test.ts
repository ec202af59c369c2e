import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import type { CropSpec } from '../../lib/data/images/crop.js'
import { decodeCrop, type Image, openImage } from '../../lib/data/images/decode.js'
import { defaultDecoding } from '../../lib/data/images/formats.js'
import { native } from '../../lib/platform/native.js'
import { Random } from '../../lib/random.js'
import { baseline, coarseNoise, type Sampling, samplings } from '../setup/jpegs.js'
import { flat, packed, pixelsOf } from '../setup/photos.js'
import { rescaled } from '../setup/rescaled.js'

type Position = Readonly<Record<'height' | 'width' | 'top' | 'left', number>>

const open = (bytes: Uint8Array) => openImage(bytes, defaultDecoding)
const bySharp = ({ plain: _, ...image }: Image): Image => image

/** Straight from native code. `size`: as it is, and rescaled to `top` x `left`. */
async function cropOf(bytes: Uint8Array, size: Position, box: Position, channels: 1 | 3): Promise<Uint8Array> {
  const { height, width, top, left } = box
  const into = new Uint8Array(height * width * channels)
  await native().decodeJpeg({
    bytes,
    source: size,
    box: { height: size.top, width: size.left, top, left },
    crop: { height, width, channels },
    memoryLimit: 2 ** 30,
    into,
  })
  return into
}

/** Mean and largest difference in grey levels. */
function apart(one: Uint8Array, other: Uint8Array): { mean: number; most: number } {
  expect(one.length).toBe(other.length)
  let [sum, most] = [0, 0]
  for (const [position, value] of one.entries()) {
    const difference = Math.abs(value - (other[position] ?? 999))
    sum += difference
    most = Math.max(most, difference)
  }
  return { mean: sum / one.length, most }
}

const window = (whole: Uint8Array, width: number, { height, width: across, top, left }: Position, channels: number) =>
  Buffer.concat(
    Array.from({ length: height }, (_, row) => {
      const start = ((top + row) * width + left) * channels
      return whole.subarray(start, start + across * channels)
    }),
  )

const files: [string, Sampling, boolean][] = [
  ...samplings.map((sampling): [string, Sampling, boolean] => [`${sampling}, baseline`, sampling, false]),
  ['4:4:4, progressive', '4:4:4', true],
  ['4:2:0, progressive', '4:2:0', true],
]

async function fileOf(sampling: Sampling, progressive: boolean, [height, width]: readonly [number, number]) {
  const pixels = await coarseNoise(height, width, height)
  if (!progressive) return baseline(pixels, sampling)
  return packed(pixels).jpeg({ progressive, chromaSubsampling: sampling, quality: 90 }).toBuffer()
}

describe.each(files)('%s', (_, sampling, progressive) => {
  const sides = [
    [97, 131],
    [64, 48],
    [33, 200],
    [150, 17],
  ] as const
  const channels = sampling === 'grey' ? 1 : 3

  test('the whole image without rescaling has the bytes of sharp', async () => {
    for (const [height, width] of sides) {
      const bytes = await fileOf(sampling, progressive, [height, width])
      const got = await cropOf(
        bytes,
        { height, width, top: height, left: width },
        { height, width, top: 0, left: 0 },
        channels,
      )
      // sharp's decoder is mozjpeg's, which is libjpeg-turbo's
      expect(
        Buffer.compare(
          got,
          await sharp(bytes)
            .toColourspace(channels === 1 ? 'b-w' : 'srgb')
            .raw()
            .toBuffer(),
        ),
      ).toBe(0)
    }
  })

  // Decoded from parts of the file, wherever they begin and end, and halved, quartered, in eighths by the decoder.
  test.each([1, 1.37, 0.6, 3, 3.9, 5.5, 9, 17])(
    'shrunk by %d, a crop equals that part of the whole image',
    async (shrink) => {
      const random = new Random(7)
      for (const [height, width] of sides) {
        const bytes = await fileOf(sampling, progressive, [height, width])
        const size = { height, width, top: Math.ceil(height / shrink), left: Math.ceil(width / shrink) }
        const all = { height: size.top, width: size.left, top: 0, left: 0 }
        const whole = await cropOf(bytes, size, all, channels)
        for (let time = 0; time < 12; time++) {
          const [rows, columns] = [1 + random.integer(all.height), 1 + random.integer(all.width)]
          const [top, left] = [random.integer(all.height - rows + 1), random.integer(all.width - columns + 1)]
          const position = { height: rows, width: columns, top, left }
          const crop = await cropOf(bytes, size, position, channels)
          expect(Buffer.compare(crop, window(whole, all.width, position, channels)), JSON.stringify(position)).toBe(0)
        }
      }
    },
  )
})

/** Smooth, as images are. */
const waves = (height: number, width: number) =>
  pixelsOf([height, width, 3], (row, column, channel) => {
    return 128 + 60 * Math.sin((row + 2 * column + 40 * channel) / 17) + 50 * Math.cos((3 * row - column) / 29)
  })

describe('decoding and rescaling', () => {
  // Of what the decoder does not shrink, and of what it does: there it means squares of pixels first.
  test.each([
    ['enlarged', 500, 0.3, 1],
    ['somewhat smaller', 256, 0.3, 1],
    ['by half and some more', 149, 0.3, 1],
    ['halved by the decoder', 100, 0.8, 4],
    ['in eighths', 33, 2, 8],
  ])('%s: what real numbers make of all pixels', async (_, smallest, mean, most) => {
    for (const [height, width] of [
      [375, 501],
      [433, 375],
    ] as const) {
      const bytes = baseline(waves(height, width), '4:2:0', 95)
      const scale = smallest / Math.min(height, width)
      const box = { height: Math.round(height * scale), width: Math.round(width * scale), top: 3, left: 5 }
      const crop: CropSpec = { height: 24, width: 22, channels: 3 }
      const image = await open(bytes)
      expect(image.plain).toBeDefined()
      const ours = await decodeCrop(image, box, crop, defaultDecoding)
      const one = { source: [height, width], box: [box.height, box.width] } as const
      const exact = rescaled(await sharp(bytes).raw().toBuffer(), one, 3)
      const differences = apart(ours, window(Uint8Array.from(exact, Math.round), box.width, { ...box, ...crop }, 3))
      expect(differences.mean).toBeLessThan(mean)
      expect(differences.most).toBeLessThanOrEqual(most)
    }
  })
})

describe('compared with sharp', () => {
  // Where our decoder halves nothing, both rescale the same pixels.
  test.each([
    [600, 0, 0],
    [300, 0, 0],
    [149, 0, 0],
    [100, 0.5, 3],
    [50, 1, 6],
  ])('the same image, rescaled to %d', async (smallest, mean, most) => {
    const bytes = baseline(waves(376, 500), '4:2:0', 95)
    const image = await open(bytes)
    const box = { height: smallest, width: Math.round((500 * smallest) / 376), top: 3, left: 5 }
    const crop: CropSpec = { height: 40, width: 50, channels: 3 }
    const [ours, theirs] = await Promise.all(
      [image, bySharp(image)].map((one) => decodeCrop(one, box, crop, defaultDecoding)),
    )
    const differences = apart(ours as Uint8Array, theirs as Uint8Array)
    expect(differences.mean).toBeLessThanOrEqual(mean)
    expect(differences.most).toBeLessThanOrEqual(most)
  })

  test('grey as one channel and as three has the bytes of sharp if nothing is rescaled', async () => {
    const bytes = baseline(await coarseNoise(40, 60), 'grey')
    const image = await open(bytes)
    const box = { height: 40, width: 60, top: 11, left: 13 }
    for (const channels of [1, 3] as const) {
      const crop = { height: 20, width: 31, channels }
      const ours = await decodeCrop(image, box, crop, defaultDecoding)
      expect([...ours]).toEqual([...(await decodeCrop(bySharp(image), box, crop, defaultDecoding))])
    }
  })

  test('colour as grey, profiles, orientations and CMYK are decoded by sharp', async () => {
    const pixels = waves(40, 60)
    const box = { height: 30, width: 40, top: 2, left: 3 }
    const turned = await packed(pixels).jpeg().withMetadata({ orientation: 6 }).toBuffer()
    expect((await open(turned)).size).toEqual({ height: 60, width: 40 })
    const inks = await packed(flat(40, 60, [180, 90, 60]))
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer()
    const profile = await packed(pixels).withIccProfile('p3').jpeg().toBuffer()
    for (const bytes of [turned, inks, profile]) expect((await open(bytes)).plain).toBeUndefined()
    const colours = await open(baseline(pixels, '4:4:4'))
    expect(colours.plain).toBeDefined()
    const crop: CropSpec = { height: 10, width: 12, channels: 1 }
    const grey = await decodeCrop(colours, box, crop, defaultDecoding)
    expect([...grey]).toEqual([...(await decodeCrop(bySharp(colours), box, crop, defaultDecoding))])
  })
})

describe('damaged files', () => {
  const box = { height: 100, width: 150, top: 40, left: 30 }
  const crop: CropSpec = { height: 40, width: 60, channels: 3 }
  const reaction = (image: Image) =>
    decodeCrop(image, box, crop, defaultDecoding).then(
      (pixels) => ({ pixels, message: '' }),
      (error: Error) => ({ pixels: new Uint8Array(0), message: error.message }),
    )

  test('are decoded or rejected as by sharp alone', async () => {
    const whole = baseline(await coarseNoise(200, 300), '4:2:0')
    const scan = whole.indexOf(Buffer.of(0xff, 0xda)) + 14
    const random = new Random(4)
    const counts = { refused: 0, decoded: 0 }
    for (let time = 0; time < 60; time++) {
      const bytes = Buffer.from(whole)
      bytes[scan + random.integer(whole.length - scan - 2)] = random.integer(256)
      const image = await open(bytes)
      expect(image.plain).toBeDefined()
      const [ours, theirs] = [await reaction(image), await reaction(bySharp(image))]
      expect(ours.message).toBe(theirs.message)
      counts[ours.message ? 'refused' : 'decoded'] += 1
      if (!ours.message) expect(apart(ours.pixels, theirs.pixels).mean).toBeLessThan(1)
    }
    expect(counts.decoded).toBeGreaterThan(0)
  })

  test('are rejected by native code at a warning; errors of the call have another code', async () => {
    const whole = baseline(await coarseNoise(60, 80), '4:2:0')
    const size = { height: 60, width: 80, top: 60, left: 80 }
    const all = { height: 60, width: 80, top: 0, left: 0 }
    const rest = whole.subarray(0, whole.length * 0.7)
    await expect(cropOf(rest, size, all, 3)).rejects.toMatchObject({ code: 'FILE_FORMAT', name: 'VggError' })
    await expect(cropOf(new Uint8Array(0), size, all, 3)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    // of another size than it was said to be
    await expect(cropOf(whole, { ...size, height: 61 }, all, 3)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(cropOf(whole, size, { ...all, top: 1 }, 3)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  })

  test('a header that only looks intact gives the same message', async () => {
    const bytes = Buffer.from(baseline(await coarseNoise(60, 80), '4:2:0'))
    const size = { height: 60, width: 80 }
    // the number of the first Huffman table's codes: more than there can be
    const table = bytes.indexOf(Buffer.of(0xff, 0xc4))
    bytes.fill(0xff, table + 5, table + 21)
    const fault = async (image: () => Promise<Image>) =>
      image()
        .then((one) => decodeCrop(one, { ...size, top: 0, left: 0 }, { ...crop, width: 80 }, defaultDecoding))
        .then(
          () => 'decoded',
          (error: Error) => error.message,
        )
    const alone = () => sharp(bytes).metadata()
    const message = await fault(() => open(bytes))
    await expect(alone()).rejects.toThrow()
    expect(message).toBe('its header is damaged or cut off')
  })

  test('a hundred scans are decoded natively, more by sharp', async () => {
    const size = { height: 8, width: 8, top: 8, left: 8 }
    const all = { ...size, top: 0, left: 0 }
    expect(new Set(await cropOf(manyScans(99), size, all, 1))).toEqual(new Set([128]))
    await expect(cropOf(manyScans(101), size, all, 1)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
  })
})

/** A progressive JPEG of 8x8 in grey that is nothing but grey, said in so many scans: one frequency and one bit in each. */
function manyScans(count: number): Buffer {
  const segment = (kind: number, ...data: number[]) => Buffer.from([0xff, kind, 0, data.length + 2, ...data])
  // one code of one bit, for: no difference; no more frequencies
  const table = (kind: number) => segment(0xc4, kind, 1, ...new Array<number>(15).fill(0), 0)
  const scan = (frequency: number, bits: number) =>
    Buffer.concat([segment(0xda, 1, 1, 0, frequency, frequency, bits), Buffer.of(0x7f)])
  const scans = Array.from({ length: count - 1 }, (_, at) => scan(1 + (at % 63), at < 63 ? 1 : 0x10))
  return Buffer.concat([
    Buffer.of(0xff, 0xd8),
    segment(0xdb, 0, ...new Array<number>(64).fill(1)),
    segment(0xc2, 8, 0, 8, 0, 8, 1, 1, 0x11, 0),
    ...[0x00, 0x10].map(table),
    scan(0, 0),
    ...scans,
    Buffer.of(0xff, 0xd9),
  ])
}

test('the bytes are copied at the call', async () => {
  const bytes = Uint8Array.from(baseline(await coarseNoise(300, 400), '4:2:0'))
  const size = { height: 300, width: 400, top: 300, left: 400 }
  const all = { ...size, top: 0, left: 0 }
  const [before, later] = [await cropOf(bytes, size, all, 3), cropOf(bytes, size, all, 3)]
  structuredClone(bytes, { transfer: [bytes.buffer] })
  expect(bytes.length).toBe(0)
  expect(Buffer.compare(await later, before)).toBe(0)
})
