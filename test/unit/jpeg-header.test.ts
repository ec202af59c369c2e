import { beforeAll, describe, expect, test } from 'vitest'
import { plainJpeg, scansOf } from '../../lib/data/images/jpeg.js'
import { Random } from '../../lib/random.js'
import { hugeJpeg } from '../setup/bombs.js'
import { baseline, coarseNoise, samplings, segmentsOf, withSegment } from '../setup/jpegs.js'
import { flat, gradient, packed } from '../setup/photos.js'

let plain: Buffer

beforeAll(async () => {
  plain = baseline(await coarseNoise(37, 53), '4:2:0')
})

/** The body of an EXIF segment with these entries of 12 bytes. */
function exif(little: boolean, entries: readonly (readonly [tag: number, type: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(6 + 8 + 2 + 12 * entries.length + 4)
  const short = (value: number, at: number) =>
    little ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at)
  const long = (value: number, at: number) => (little ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at))
  bytes.write('Exif\0\0', 'latin1')
  bytes.write(little ? 'II' : 'MM', 6, 'latin1')
  short(42, 8)
  long(8, 10)
  short(entries.length, 14)
  for (const [position, [tag, type, value]] of entries.entries()) {
    const at = 16 + 12 * position
    short(tag, at)
    short(type, at + 2)
    long(1, at + 4)
    short(value, at + 8)
  }
  return bytes
}
const orientation = (little: boolean, value: number) =>
  exif(little, [
    [0x0110, 2, 7],
    [0x0112, 3, value],
  ])

describe('plainJpeg', () => {
  test('size and components for any sampling and frame type', async () => {
    const pixels = await coarseNoise(37, 53)
    for (const sampling of samplings) {
      const components = sampling === 'grey' ? 1 : 3
      expect(plainJpeg(baseline(pixels, sampling))).toEqual({ height: 37, width: 53, components, coefficientBytes: 0 })
    }
  })

  test('coefficients of an image with several scans: 128 bytes for each block, in whole units of all components', async () => {
    const size = { height: 37, width: 53, components: 3 }
    const progressive = (chromaSubsampling: string) =>
      packed(flat(37, 53, [9, 99, 200]))
        .jpeg({ progressive: true, chromaSubsampling })
        .toBuffer()
    const [full, quarter] = [await progressive('4:4:4'), await progressive('4:2:0')]
    expect(plainJpeg(full)).toEqual({ ...size, coefficientBytes: 5 * 7 * 3 * 128 })
    // 3 x 4 units of 16x16 pixels: 4 blocks of brightness, and one of each colour
    expect(plainJpeg(quarter)).toEqual({ ...size, coefficientBytes: 3 * 4 * 6 * 128 })
    const separate = Buffer.from(plain)
    const scan = separate.indexOf(Buffer.of(0xff, 0xda))
    separate[scan + 4] = 1
    expect(plainJpeg(separate)?.coefficientBytes).toBe(3 * 4 * 6 * 128)
  })

  test('sampling factors that no decoder knows are an irregularity', () => {
    for (const factors of [0x01, 0x10, 0x51, 0x15]) {
      const changed = Buffer.from(plain)
      changed[changed.indexOf(Buffer.of(0xff, 0xc0)) + 11] = factors
      expect(plainJpeg(changed)).toBeUndefined()
    }
  })

  test('scans are counted up to the end of the image, without those in its segments', async () => {
    expect(scansOf(plain)).toBe(1)
    expect(scansOf(withSegment(plain, 0xe1, plain))).toBe(1)
    expect(scansOf(Buffer.concat([plain, plain]))).toBe(1)
    expect(scansOf(hugeJpeg({ side: 100, components: 1, scans: 150 }))).toBe(151)
    expect(scansOf(hugeJpeg({ side: 100, components: 1, scans: 0, restarts: true }))).toBe(1)
    for (const length of [0, 1, 2, 3, 4, 100, plain.length - 1])
      expect(scansOf(plain.subarray(0, length))).toBeLessThan(2)
  })

  test('a part of a larger buffer', () => {
    const around = Buffer.concat([Buffer.alloc(7, 0xff), plain, Buffer.alloc(9, 0xff)])
    expect(plainJpeg(around.subarray(7, 7 + plain.length))).toEqual(plainJpeg(plain))
    expect(plainJpeg(around.subarray(7, 7 + 100))).toBeUndefined()
  })

  test.each([true, false])('EXIF, little endian %s: only upright images are plain', (little) => {
    expect(plainJpeg(withSegment(plain, 0xe1, orientation(little, 1)))).toEqual(plainJpeg(plain))
    expect(plainJpeg(withSegment(plain, 0xe1, exif(little, [[0x0110, 2, 7]])))).toEqual(plainJpeg(plain))
    for (const value of [0, 2, 3, 4, 5, 6, 7, 8, 9, 256]) {
      expect(plainJpeg(withSegment(plain, 0xe1, orientation(little, value))), `${value}`).toBeUndefined()
    }
    // a long number; the directory behind the end; more entries than there are
    expect(plainJpeg(withSegment(plain, 0xe1, exif(little, [[0x0112, 4, 1]])))).toBeUndefined()
    const upright = orientation(little, 1)
    for (const at of [10, 11, 12, 13, 14, 15]) {
      const broken = Buffer.from(upright)
      broken[at] = 0xee
      expect(plainJpeg(withSegment(plain, 0xe1, broken)), `${at}`).toBeUndefined()
    }
    for (let length = 5; length < 16; length++) {
      expect(plainJpeg(withSegment(plain, 0xe1, upright.subarray(0, length))), `${length}`).toBeUndefined()
    }
    // two of them
    expect(plainJpeg(withSegment(withSegment(plain, 0xe1, upright), 0xe1, upright))).toBeUndefined()
    // XMP is no EXIF
    expect(plainJpeg(withSegment(plain, 0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0')))).toBeDefined()
  })

  test('orientations and profiles that sharp writes are recognised', async () => {
    const image = packed(gradient(20, 30))
    for (const turned of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const bytes = await image.clone().jpeg().withMetadata({ orientation: turned }).toBuffer()
      // withMetadata keeps a profile of sRGB: taken out, as it would decide alone
      const profile = segmentsOf(bytes).find(({ kind }) => kind === 0xe2)
      const end = profile ? profile.start + 4 + profile.data.length : 0
      const bare = profile ? Buffer.concat([bytes.subarray(0, profile.start), bytes.subarray(end)]) : bytes
      expect(plainJpeg(bare) !== undefined, `${turned}`).toBe(turned === 1)
      if (profile) expect(plainJpeg(bytes)).toBeUndefined()
    }
    expect(plainJpeg(await image.clone().withIccProfile('p3').jpeg().toBuffer())).toBeUndefined()
    const inks = packed(flat(16, 16, [9, 90, 200])).toColourspace('cmyk')
    expect(plainJpeg(await inks.jpeg().toBuffer())).toBeUndefined()
    for (const other of [image.clone().png(), image.clone().webp(), image.clone().tiff()]) {
      expect(plainJpeg(await other.toBuffer())).toBeUndefined()
    }
  })

  test('12 bits, lossless and arithmetic frames, two components, no height, two frames, no frame', () => {
    const frame = segmentsOf(plain).find(({ kind }) => kind === 0xc0)
    if (!frame) throw new Error('no frame')
    const changed = (at: number, value: number) => {
      const bytes = Buffer.from(plain)
      bytes[frame.start + at] = value
      return bytes
    }
    expect(plainJpeg(changed(4, 8))).toBeDefined()
    expect(plainJpeg(changed(4, 12))).toBeUndefined()
    for (const kind of [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf, 0xfe]) {
      expect(plainJpeg(changed(1, kind)), kind.toString(16)).toBeUndefined()
    }
    expect(plainJpeg(changed(9, 2))).toBeUndefined()
    expect(plainJpeg(changed(9, 4))).toBeUndefined()
    expect(plainJpeg(changed(6, 0))).toBeUndefined()
    expect(plainJpeg(withSegment(plain, 0xc0, frame.data))).toBeUndefined()
  })

  test('no bytes, and every truncation of a header', () => {
    expect(plainJpeg(new Uint8Array(0))).toBeUndefined()
    const scan = plain.indexOf(Buffer.of(0xff, 0xda))
    const segmentEnd = scan + 2 + plain.readUInt16BE(scan + 2)
    for (let length = 0; length < segmentEnd; length++) expect(plainJpeg(plain.subarray(0, length))).toBeUndefined()
    expect(plainJpeg(plain.subarray(0, segmentEnd))).toBeDefined()
  })

  test('2,000 damaged headers are refused, or give sides that a JPEG can have', () => {
    const random = new Random(11)
    const whole = withSegment(withSegment(plain, 0xe1, orientation(true, 1)), 0xe2, Buffer.from('MPF\0 and more'))
    const scan = whole.indexOf(Buffer.of(0xff, 0xda))
    let seen = 0
    for (let time = 0; time < 2000; time++) {
      const length = random.integer(4) === 0 ? random.integer(whole.length + 1) : whole.length
      // its own memory: what is read behind it throws
      const bytes = Uint8Array.from(whole.subarray(0, length))
      for (let flips = random.integer(4); flips >= 0; flips--) bytes[random.integer(scan)] = random.integer(256)
      const header = plainJpeg(bytes)
      if (header === undefined) continue
      seen += 1
      expect([1, 3]).toContain(header.components)
      for (const side of [header.height, header.width]) expect(side > 0 && side < 65536).toBe(true)
    }
    expect(seen).toBeGreaterThan(100)
    expect(seen).toBeLessThan(1900)
  })

  test('noise after the first marker', () => {
    const random = new Random(12)
    for (let time = 0; time < 2000; time++) {
      const bytes = Uint8Array.from({ length: random.integer(300) }, () =>
        random.integer(3) ? random.integer(256) : 255,
      )
      bytes.set([0xff, 0xd8].slice(0, bytes.length))
      expect(() => plainJpeg(bytes)).not.toThrow()
    }
    // markers of no length to step over: it must go on nevertheless, or stop
    expect(plainJpeg(new Uint8Array(1 << 20).fill(0xff))).toBeUndefined()
  })
})
