import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { idxBytes } from './idx-bytes.js'
import { stripes } from './stripes.js'

/** The images of `stripes` and their labels as IDX files: `NAME` and `NAME-labels`. */
export async function writeStripes(folder: string, name: string, count: number, seed: number) {
  const data = stripes(count, seed)
  const pixels = new Uint8Array(count * 1024)
  await data.read(
    Int32Array.from({ length: count }, (_, index) => index),
    pixels,
  )
  const [images, labels] = [path.join(folder, name), path.join(folder, `${name}-labels`)]
  writeFileSync(images, idxBytes([count, 32, 32], pixels))
  writeFileSync(labels, idxBytes([count], Uint8Array.from(data.labels)))
  return { kind: 'idx', images, labels } as const
}
