import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import type { CropSpec } from '../../lib/data/images/crop.js'
import { decodeCrop, encodedBytes, openImage } from '../../lib/data/images/decode.js'
import { defaultDecoding } from '../../lib/data/images/formats.js'
import { readImage } from '../../lib/data/images/image.js'
import { newFolder } from '../setup/folder.js'
import { claimsToBe, deepPng, flat, gradient, heldOtherwise, packed, pixelsOf } from '../setup/photos.js'

/** The whole image: neither rescaled nor cropped. */
async function decoded(bytes: Uint8Array, channels: 1 | 3 = 3): Promise<Uint8Array> {
  const image = await openImage(bytes, defaultDecoding)
  const { height, width } = image.size
  return decodeCrop(image, { height, width, top: 0, left: 0 }, { height, width, channels }, defaultDecoding)
}

/** The largest difference of two images. */
function apart(one: Uint8Array, other: Uint8Array): number {
  expect(one.length).toBe(other.length)
  return one.reduce((most, value, index) => Math.max(most, Math.abs(value - (other[index] ?? 999))), 0)
}

const limited = (pixelLimit: number) => ({ ...defaultDecoding, pixelLimit })

const faultOf = (bytes: Uint8Array, decoding = defaultDecoding) =>
  openImage(bytes, decoding).then(
    () => 'opened',
    (error: Error) => error.message,
  )

describe('formats', () => {
  const image = gradient(60, 80)
  test.each([
    ['PNG', packed(image).png(), 0],
    ['PNG, interlaced', packed(image).png({ progressive: true }), 0],
    ['lossless WebP', packed(image).webp({ lossless: true }), 0],
    ['TIFF', packed(image).tiff({ compression: 'lzw' }), 0],
    ['JPEG', packed(image).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }), 4],
    ['JPEG, progressive', packed(image).jpeg({ quality: 100, chromaSubsampling: '4:4:4', progressive: true }), 4],
    ['WebP', packed(image).webp({ quality: 95 }), 12],
  ])('%s: every pixel', async (_name, file, most) => {
    expect(apart(await decoded(await file.toBuffer()), image.data)).toBeLessThanOrEqual(most)
  })

  test('a grey JPEG as one channel and as three', async () => {
    const grey = pixelsOf([30, 40, 1], (row, column) => 2 * row + 3 * column)
    const file = await packed(grey).toColourspace('b-w').jpeg({ quality: 100 }).toBuffer()
    expect((await sharp(file).metadata()).channels).toBe(1)
    const one = await decoded(file, 1)
    expect(apart(one, grey.data)).toBeLessThanOrEqual(2)
    expect([...(await decoded(file, 3))]).toEqual([...one].flatMap((value) => [value, value, value]))
  })

  test('a palette and single bits', async () => {
    const few = pixelsOf([16, 16, 3], (row, column, channel) => ((row >> 2) + (column >> 3) + channel) % 2 && 255)
    expect(apart(await decoded(await packed(few).png({ palette: true }).toBuffer()), few.data)).toBe(0)
    const bits = await packed(pixelsOf([8, 8, 1], (row, column) => ((row ^ column) & 1) * 255))
      .toColourspace('b-w')
      .png({ palette: true, colours: 2 })
      .toBuffer()
    expect([...(await decoded(bits, 1))]).toEqual(Array.from({ length: 64 }, (_, i) => (((i >> 3) ^ i) & 1) * 255))
  })

  test('colour as grey: linear luminance, not the mean of the values', async () => {
    const colour = [180, 90, 60]
    const light = (value: number) => ((value / 255 + 0.055) / 1.055) ** 2.4
    const [r = 0, g = 0, b = 0] = colour.map(light)
    const expected = 255 * (1.055 * (0.2126 * r + 0.7152 * g + 0.0722 * b) ** (1 / 2.4) - 0.055)
    // in 8 bits, by libvips' tables
    expect(
      apart(
        await decoded(
          await packed(flat(4, 4, colour))
            .png()
            .toBuffer(),
          1,
        ),
        flat(4, 4, [expected]).data,
      ),
    ).toBe(0)
  })

  // Inks cannot show every colour; these they can, to within the press profile's steps.
  test.each([[[180, 90, 60]], [[60, 120, 90]], [[128, 128, 128]], [[235, 235, 235]]])(
    'CMYK of %j comes back as that colour',
    async (colour) => {
      const source = packed(flat(16, 16, colour))
      for (const file of [source.clone().toColourspace('cmyk'), source.clone().withIccProfile('cmyk')]) {
        const bytes = await file.jpeg({ quality: 100 }).toBuffer()
        expect((await sharp(bytes).metadata()).space).toBe('cmyk')
        expect(apart(await decoded(bytes), flat(16, 16, colour).data)).toBeLessThan(30)
      }
    },
  )

  test('16 bits are divided by 257, not clipped', async () => {
    const values = Uint16Array.from({ length: 32 * 32 * 3 }, (_, index) => (index * 21) & 0xffff)
    const read = await decoded(await deepPng(values, 32, 32, 3).toBuffer())
    expect(
      apart(
        read,
        Uint8Array.from(values, (value) => Math.round(value / 257)),
      ),
    ).toBeLessThanOrEqual(1)
    const grey = values.subarray(0, 1024)
    const deepGrey = await deepPng(grey, 32, 32, 1).toBuffer()
    expect(
      apart(
        await decoded(deepGrey, 1),
        Uint8Array.from(grey, (value) => value / 257),
      ),
    ).toBeLessThanOrEqual(1)
  })

  test('16 bits with the profile of sRGB keep their colours', async () => {
    const values = Uint16Array.from({ length: 8 * 8 * 3 }, (_, index) => [50000, 30000, 20000][index % 3] ?? 0)
    const file = await deepPng(values, 8, 8, 3).withIccProfile('srgb').toBuffer()
    // the values in the file
    const stored = await sharp(file, { ignoreIcc: true }).toColourspace('rgb16').raw({ depth: 'ushort' }).toBuffer()
    const expected = Array.from(new Uint16Array(stored.buffer, stored.byteOffset, 3), (value) => value / 257)
    expect(apart((await decoded(file)).subarray(0, 3), Uint8Array.from(expected, Math.round))).toBeLessThanOrEqual(2)
  })

  test('transparent parts become black', async () => {
    const veiled = pixelsOf([4, 8, 4], (_row, column, channel) => [200, 100, 40, column * 36][channel] ?? 0)
    const expected = pixelsOf([4, 8, 3], (_row, column, channel) => {
      return ([200, 100, 40][channel] ?? 0) * ((column * 36) / 255)
    })
    for (const file of [packed(veiled).png(), packed(veiled).webp({ lossless: true, exact: true })]) {
      expect(apart(await decoded(await file.toBuffer()), expected.data)).toBeLessThanOrEqual(1)
    }
  })

  test('the format is recognised by content', async () => {
    const file = path.join(newFolder(), 'really-a-png.jpg')
    await packed(image).png().toFile(file)
    expect(apart(await decoded(await encodedBytes(file, defaultDecoding)), image.data)).toBe(0)
  })
})

describe('boxes', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'EXIF orientation %i is applied before sizes are computed',
    async (orientation) => {
      const upright = gradient(20, 30)
      const stored = heldOtherwise(upright, orientation)
      const bytes = await packed(stored).withMetadata({ orientation }).png().toBuffer()
      const image = await openImage(bytes, defaultDecoding)
      expect(image.size).toEqual({ height: 20, width: 30 })
      expect(apart(await decoded(bytes), upright.data)).toBe(0)
      const spec: CropSpec = { height: 5, width: 7, channels: 3 }
      const crop = await decodeCrop(image, { height: 20, width: 30, top: 3, left: 11 }, spec, defaultDecoding)
      expect([...crop]).toEqual([...pixelsOf([5, 7, 3], (row, column, ch) => [3 + row, 11 + column, 40][ch] ?? 0).data])
    },
  )

  test.each([
    ['halved', 100, 120, 0.5],
    ['to a third', 150, 240, 1 / 3],
    ['enlarged', 60, 80, 1.5],
  ])('%s: a gradient keeps its slope, and the crop lies where it should', async (_name, height, width, scale) => {
    const source = gradient(height, width)
    const image = await openImage(await packed(source).png().toBuffer(), defaultDecoding)
    const box = { height: height * scale, width: width * scale, top: 9, left: 13 }
    const crop = await decodeCrop(image, box, { height: 16, width: 20, channels: 3 }, defaultDecoding)
    // centre of pixel i of the rescaled image: (i + 1/2) / scale - 1/2 of the source
    const at = (position: number) => (position + 0.5) / scale - 0.5
    const expected = pixelsOf([16, 20, 3], (row, column, ch) => Math.round([at(9 + row), at(13 + column), 40][ch] ?? 0))
    expect(apart(crop, expected.data)).toBeLessThanOrEqual(1)
  })

  test('a JPEG that libjpeg shrinks while decoding is the same image', async () => {
    const waves = pixelsOf([480, 640, 3], (row, column, ch) => 128 + 90 * Math.sin((row + 2 * column + 40 * ch) / 60))
    const box = { height: 60, width: 80, top: 10, left: 20 }
    const crop: CropSpec = { height: 40, width: 50, channels: 3 }
    const of = async (file: Sharp) =>
      decodeCrop(await openImage(await file.toBuffer(), defaultDecoding), box, crop, defaultDecoding)
    expect(apart(await of(packed(waves).jpeg({ quality: 98 })), await of(packed(waves).png()))).toBeLessThanOrEqual(4)
  })
})

describe('incomplete images', () => {
  test('are rejected with a reason', async () => {
    expect(await faultOf(new Uint8Array(0))).toBe('it is empty: copy or download it again')
    expect(await faultOf(Buffer.from('hello\0world'))).toBe('it is no image of a known format')
    expect(await faultOf(await claimsToBe(60000, 50000))).toBe(
      'its header says 60000x50000 pixels, more than the limit of 268402689',
    )
    const small = await packed(gradient(40, 50)).png().toBuffer()
    expect(await faultOf(small, limited(1999))).toMatch(/40x50 pixels, more than the limit of 1999/)
    expect(await faultOf(small, limited(2000))).toBe('opened')
  })

  const image = pixelsOf([200, 300, 3], (row, column, channel) => (row * 7 + column * 13 + channel * 31) % 256)
  test.each([
    ['JPEG', packed(image).jpeg()],
    ['PNG', packed(image).png()],
    ['WebP', packed(image).webp()],
    ['TIFF', packed(image).tiff({ compression: 'lzw' })],
  ])('a truncated %s, wherever the crop is and however little is missing', async (_name, file) => {
    const whole = await file.toBuffer()
    const crop: CropSpec = { height: 10, width: 10, channels: 3 }
    const at = (bytes: Buffer, top: number) =>
      openImage(bytes, defaultDecoding).then((opened) =>
        decodeCrop(opened, { height: 200, width: 300, top, left: 5 }, crop, defaultDecoding),
      )
    for (const top of [0, 190]) {
      await expect(at(whole, top)).resolves.toHaveLength(300)
      for (const missing of [0.5, 0.1, 0.02]) {
        const rest = whole.subarray(0, Math.floor(whole.length * (1 - missing)))
        await expect(at(rest, top), `${missing} missing, row ${top}`).rejects.toMatchObject({ code: 'FILE_FORMAT' })
      }
    }
  })

  test('an intact JPEG with bytes after its end, and one whose last rows must be decoded, give the same crop', async () => {
    const whole = await packed(image).jpeg().toBuffer()
    const box = { height: 100, width: 150, top: 30, left: 40 }
    const of = async (bytes: Buffer) =>
      decodeCrop(await openImage(bytes, defaultDecoding), box, { height: 20, width: 30, channels: 3 }, defaultDecoding)
    const plain = await of(whole)
    expect(await of(Buffer.concat([whole, Buffer.alloc(64)]))).toEqual(plain)
    // the mark is out of sight: decoded to the end, by sharp
    expect(apart(await of(Buffer.concat([whole, Buffer.alloc(8192)])), plain)).toBeLessThanOrEqual(1)
  })

  test('a PNG with a wrong byte in its middle is damaged, not truncated', async () => {
    const bytes = await packed(image).png().toBuffer()
    const at = bytes.length >> 1
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    await expect(decoded(bytes)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: 'it is damaged, decoding it failed',
      cause: expect.any(Error),
    })
  })

  test('a thin line is rejected before it becomes 10^9 pixels', async () => {
    const line = await openImage(
      await packed(flat(2000, 1, [9]))
        .png()
        .toBuffer(),
      defaultDecoding,
    )
    const box = { height: 256 * 2000, width: 256, top: 0, left: 0 }
    await expect(decodeCrop(line, box, { height: 224, width: 224, channels: 3 }, limited(1e6))).rejects.toThrow(
      'rescaled it would have 512000x256 pixels, more than the limit of 1000000',
    )
  })

  test('a missing file, a folder, a pipe without a writer and a file too long for any image are rejected', async () => {
    const folder = newFolder()
    const of = (name: string, decoding = defaultDecoding) => encodedBytes(path.join(folder, name), decoding)
    await expect(of('none.jpg')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', message: 'no such file' })
    await expect(of('.')).rejects.toMatchObject({ code: 'FILE_FORMAT', message: 'it is a folder' })
    execFileSync('mkfifo', [path.join(folder, 'pipe.jpg')])
    await expect(of('pipe.jpg')).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: 'it is a named pipe, which is not read: write its data to a file',
    })
    writeFileSync(path.join(folder, 'long.jpg'), '')
    execFileSync('truncate', ['-s', '70M', path.join(folder, 'long.jpg')])
    await expect(of('long.jpg', limited(1000))).rejects.toThrow(
      /it has 73400320 bytes, more than an image of 1000 pixels/,
    )
  })

  test('a source that fails or returns something else is rejected', async () => {
    await expect(encodedBytes(() => Promise.reject(new Error('gone')), defaultDecoding)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: 'its source failed: gone',
    })
    const text = (() => Promise.resolve('text')) as unknown as () => Promise<Uint8Array>
    await expect(encodedBytes(text, defaultDecoding)).rejects.toThrow('its source returned no bytes')
  })
})

describe('readImage', () => {
  test('with a smallest side: rescaled to it, centre crop', async () => {
    const bytes = await packed(gradient(100, 200)).png().toBuffer()
    const read = await readImage(bytes, { height: 20, width: 30, channels: 3 }, { smallestSide: 50 })
    // rescaled to 50x100; rows 15 to 34, columns 35 to 64, each the middle of two of the source
    const expected = pixelsOf(
      [20, 30, 3],
      (row, column, ch) => [2 * (15 + row) + 0.5, 2 * (35 + column) + 0.5, 40][ch] ?? 0,
    )
    expect(apart(read, expected.data)).toBeLessThanOrEqual(1)
    await expect(readImage(bytes, { height: 20, width: 30, channels: 3 }, { smallestSide: 29 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
})
