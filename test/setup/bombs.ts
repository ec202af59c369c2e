import { crc32, deflateSync } from 'node:zlib'

/** An SVG of 2 KB that draws a thousand million blurred rectangles; `size`: its attributes of width and height. */
export function svgBomb(size = 'width="400" height="300"'): Buffer {
  const groups = Array.from({ length: 9 }, (_, level) => {
    return `<g id="g${level + 1}">${`<use href="#g${level}"/>`.repeat(10)}</g>`
  })
  const blur = '<filter id="f"><feGaussianBlur stdDeviation="20"/></filter>'
  const first = '<g id="g0"><rect width="100" height="100" filter="url(#f)"/></g>'
  const defined = `<defs>${blur}${first}${groups.join('')}</defs>`
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${size}>${defined}<use href="#g9"/></svg>`)
}

/** A deflated TIFF of CMYK whose strips of 100 rows all lie in the same bytes: 20 KB for 16000x16000. */
export function tiffBomb(side: number): Buffer {
  const strips = side / 100
  const strip = deflateSync(Buffer.alloc(100 * side * 4))
  const [entries, firstEntry] = [10, 8]
  const bits = firstEntry + 2 + entries * 12 + 4
  const offsets = bits + 8
  const counts = offsets + 4 * strips
  const start = counts + 4 * strips
  const [short, long] = [3, 4]
  const tags: [tag: number, type: number, count: number, value: number][] = [
    [256, long, 1, side], // width
    [257, long, 1, side], // height
    [258, short, 4, bits], // bits of each sample
    [259, short, 1, 8], // deflate
    [262, short, 1, 5], // inks
    [273, long, strips, offsets],
    [277, short, 1, 4], // samples of a pixel
    [278, long, 1, 100], // rows of a strip
    [279, long, strips, counts],
    [284, short, 1, 1], // samples side by side
  ]
  const head = Buffer.alloc(start)
  head.write('II*\0', 'latin1')
  head.writeUInt32LE(firstEntry, 4)
  head.writeUInt16LE(entries, firstEntry)
  for (const [index, [tag, type, count, value]] of tags.entries()) {
    const entry = firstEntry + 2 + 12 * index
    head.writeUInt16LE(tag, entry)
    head.writeUInt16LE(type, entry + 2)
    head.writeUInt32LE(count, entry + 4)
    head.writeUInt32LE(value, entry + 8)
  }
  for (let sample = 0; sample < 4; sample++) head.writeUInt16LE(8, bits + 2 * sample)
  for (let index = 0; index < strips; index++) {
    head.writeUInt32LE(start, offsets + 4 * index)
    head.writeUInt32LE(strip.length, counts + 4 * index)
  }
  return Buffer.concat([head, strip])
}

/** A TIFF of one pixel with many directories, each a link to the next one; the last leads to the first. */
export function directoriesBomb(count: number): Buffer {
  const tags: readonly (readonly [tag: number, type: number, value: number])[] = [
    [256, 4, 1], // width
    [257, 4, 1], // height
    [258, 3, 8], // bits of each sample
    [259, 3, 1], // not compressed
    [262, 3, 1], // black is 0
    [273, 4, 8], // offset of the strip
    [277, 3, 1], // samples of a pixel
    [278, 4, 1], // rows of a strip
    [279, 4, 1], // bytes of the strip
  ]
  const length = 2 + 12 * tags.length + 4
  const bytes = Buffer.alloc(10 + count * length)
  bytes.write('II*\0', 'latin1')
  bytes.writeUInt32LE(10, 4)
  for (let index = 0; index < count; index++) {
    const at = 10 + index * length
    bytes.writeUInt16LE(tags.length, at)
    for (const [entry, [tag, type, value]] of tags.entries()) {
      const position = at + 2 + 12 * entry
      bytes.writeUInt16LE(tag, position)
      bytes.writeUInt16LE(type, position + 2)
      bytes.writeUInt32LE(1, position + 4)
      bytes.writeUInt32LE(value, position + 8)
    }
    bytes.writeUInt32LE(10 + ((index + 1) % count) * length, at + length - 4)
  }
  return bytes
}

/** A GIF with many frames of one pixel on a canvas. */
export function framesBomb(side: number, frames: number): Buffer {
  const head = Buffer.from('GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff', 'latin1')
  head.writeUInt16LE(side, 6)
  head.writeUInt16LE(side, 8)
  // an image of 1x1 at the origin, and its code: clear, 0, end
  const frame = Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0])
  return Buffer.concat([head, ...Array<Buffer>(frames).fill(frame), Buffer.from(';')])
}

function chunk(kind: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(kind, 'latin1'), data])
  const [head, tail] = [Buffer.alloc(4), Buffer.alloc(4)]
  head.writeUInt32BE(data.length)
  tail.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, tail])
}

/** A black PNG whose pixels are a thousandth of their size in the file. @param text bytes of its compressed text */
export function zlibBomb(side: number, text = 0): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  header.set([8, 0, 0, 0, 0], 8)
  const texts = text > 0 ? [chunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), deflateSync(Buffer.alloc(text))]))] : []
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...texts,
    chunk('IDAT', deflateSync(Buffer.alloc(side * (side + 1)))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** How a JPEG of one grey level is written by {@link hugeJpeg}. */
export interface JpegShape {
  readonly side: number
  readonly components: 1 | 3
  /** Scans after the first one, each of which changes nothing. More than 0: a progressive JPEG. */
  readonly scans: number
  /** Whether a restart marker follows each block. */
  readonly restarts?: boolean
}

const segment = (kind: number, ...bytes: readonly number[]): Buffer => {
  const head = Buffer.from([0xff, kind, 0, 0, ...bytes])
  head.writeUInt16BE(bytes.length + 2, 2)
  return head
}

/** A Huffman table with one code, the bit 0. @param group 0: of brightness, 16: of the other coefficients */
const table = (group: number, symbol: number) => segment(0xc4, group, 1, ...Array<number>(15).fill(0), symbol)

const start = (names: readonly number[], first: number, last: number) =>
  segment(0xda, names.length, ...names.flatMap((name) => [name, 0]), first, last, 0)

/**
 * A JPEG of one grey level in 1 bit for each block of 8x8 pixels and component, or 2: whatever decodes it needs far more
 * memory than the file has bytes. Further scans take 4 bits for 32,767 blocks.
 */
export function hugeJpeg({ side, components, scans, restarts = false }: JpegShape): Buffer {
  const progressive = scans > 0
  const names = Array.from({ length: components }, (_, index) => index + 1)
  const blocks = Math.ceil(side / 8) ** 2
  const [high, low] = [side >> 8, side & 255]
  const frame = [8, high, low, high, low, components, ...names.flatMap((name) => [name, 0x11, 0])]
  // a difference of brightness of 0 is the bit 0; in a sequential JPEG the bit 0 also ends the block
  const bits = blocks * components * (progressive ? 1 : 2)
  const data = restarts
    ? Buffer.concat(
        Array.from({ length: blocks }, (_, block) =>
          Buffer.from([components === 1 ? 0x3f : 0x03, 0xff, 0xd0 + (block % 8)]),
        ),
      )
    : Buffer.alloc(Math.ceil(bits / 8))
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    segment(0xdb, 0, ...Array<number>(64).fill(1)),
    segment(progressive ? 0xc2 : 0xc0, ...frame),
    ...(restarts ? [segment(0xdd, 0, 1)] : []),
    table(0, 0),
    table(16, progressive ? 0xe0 : 0),
    start(names, 0, progressive ? 0 : 63),
    restarts ? data.subarray(0, -2) : data,
    ...Array.from({ length: scans }, () => Buffer.concat([start([1], 1, 63), emptyScan(blocks)])),
    Buffer.from([0xff, 0xd9]),
  ])
}

/** The data of a scan in which no block has a coefficient: runs of blocks, each the bit 0 and the 14 lower bits of its length. */
function emptyScan(blocks: number): Buffer {
  let bits = ''
  for (let left = blocks; left > 0; ) {
    const run = Math.min(left, 2 ** 15 - 1)
    // a run of 2^14 and more blocks; shorter ones are rounded up, since the scan ends with its blocks
    bits += `0${Math.max(0, run - 2 ** 14)
      .toString(2)
      .padStart(14, '0')}`
    left -= Math.max(run, 2 ** 14)
  }
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1')
  const bytes = Array.from({ length: bits.length / 8 }, (_, index) =>
    Number.parseInt(bits.slice(8 * index, 8 * index + 8), 2),
  )
  return Buffer.from(bytes.flatMap((byte) => (byte === 255 ? [255, 0] : [byte])))
}
