import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'
import { readDigits } from '../../examples/demo/digits.js'

/**
 * Real images as files: handwritten digits of MNIST, PNG of 40x48, in a folder for each class.
 *
 * @param classes digits from 0 on
 * @param each of a class
 */
export async function writeDigitPhotos(folder: string, classes: number, each: number): Promise<void> {
  const digits = await readDigits()
  const pixels = new Uint8Array(32 * 32)
  const seen = new Map<number, number>()
  for (const [index, label] of digits.labels.entries()) {
    const before = seen.get(label) ?? 0
    if (label >= classes || before >= each) continue
    seen.set(label, before + 1)
    await digits.read(Int32Array.of(index), pixels)
    const position = path.join(folder, `digit-${label}`)
    await mkdir(position, { recursive: true })
    const image = sharp(pixels, { raw: { width: 32, height: 32, channels: 1 } }).resize(40, 48, { fit: 'fill' })
    await image.png().toFile(path.join(position, `${before}.png`))
  }
}
