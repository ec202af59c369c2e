// Generated images: striped, dotted and chequered fabrics of random colour, size and angle, as JPEG files.
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'
import { Random } from 'vggnet'

const kinds = ['striped', 'dotted', 'chequered'] as const

function drawing(kind: (typeof kinds)[number], random: Random): string {
  const [width, height] = [96 + random.integer(80), 96 + random.integer(80)]
  const period = random.uniform(14, 24)
  const half = period / 2
  const motif = {
    striped: `<rect width="${half}" height="${period}"/>`,
    dotted: `<circle cx="${half}" cy="${half}" r="${0.3 * period}"/>`,
    chequered: `<rect width="${half}" height="${half}"/><rect x="${half}" y="${half}" width="${half}" height="${half}"/>`,
  }[kind]
  const hue = random.integer(360)
  const slant = `rotate(${random.uniform(-20, 20)})`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <pattern id="cloth" width="${period}" height="${period}" patternUnits="userSpaceOnUse" patternTransform="${slant}">
      <rect width="100%" height="100%" fill="hsl(${hue} 50% 30%)"/><g fill="hsl(${hue + 150} 70% 70%)">${motif}</g>
    </pattern><rect width="100%" height="100%" fill="url(#cloth)"/></svg>`
}

/** Writes `each` images of each kind into subfolders of `folder`: dotted/0.jpg, ... */
export async function writeFabrics(folder: string, each: number, seed: number): Promise<void> {
  const random = new Random(seed)
  for (const kind of kinds) {
    await mkdir(path.join(folder, kind), { recursive: true })
    for (let index = 0; index < each; index++) {
      const jpeg = await sharp(Buffer.from(drawing(kind, random)))
        .jpeg({ quality: 85 })
        .toBuffer()
      await writeFile(path.join(folder, kind, `${index}.jpg`), jpeg)
    }
  }
}
