import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import type { PhotoOptions } from '../../lib/data/sources/photo-options.js'
import { train } from '../../lib/train/trainer.js'
import { newFolder } from '../setup/folder.js'
import { gradient, listOf, packed } from '../setup/photos.js'
import { smallNet } from '../setup/stripes.js'

const freeze = ['conv1', 'conv2', 'conv3', 'conv4']
const usual = { epochs: 3, batch: 8, learningRate: 0.02, seed: 4, freeze }

/** The images, and an option of their dataset besides the fixed S. */
type Files = readonly [
  sizes: (index: number) => readonly [height: number, width: number],
  options: Partial<PhotoOptions>,
]

/** Trains on twenty image files. */
async function trainedOnFiles([sizeOf, options]: Files, frozenFeatures: 'auto' | 'off') {
  const image = (index: number) =>
    packed(gradient(...sizeOf(index)))
      .png()
      .toBuffer()
  const sources = await Promise.all(Array.from({ length: 20 }, (_, index) => image(index)))
  const list = { ...listOf(sources), labels: Int32Array.from(sources, (_, index) => index % 2) }
  using net = await smallNet({ channels: 3 })
  const notices: string[] = []
  const given = { ...usual, frozenFeatures, checkpoint: { folder: newFolder() } }
  const onNotice = (text: string) => void notices.push(text)
  const { checkpoint } = await train(net, photoDataset(list, { net, ...options }), { ...given, onNotice })
  return { notices: notices.join(), checkpoint: readFileSync(checkpoint ?? '') }
}

const square = (index: number) => [30 + index, 30 + index] as const

test.each<[string, Files]>([
  ['without random crops', [(index) => [36 + (index % 3), 40 + 2 * index], { randomCrop: false, smallestSide: 34 }]],
  ['square ones, of which a crop is the whole image', [square, { smallestSide: 32 }]],
])('image files whose only random part is the flip are computed once too: %s', async (_, files) => {
  const [images, features] = await Promise.all([trainedOnFiles(files, 'off'), trainedOnFiles(files, 'auto')])
  expect(features.notices).toContain('pool4 of 20 images, mirrored too, is computed once, 40.00 KiB')
  expect(features.checkpoint.equals(images.checkpoint)).toBe(true)
})

test.each<[string, Files]>([
  ['one image is not square', [(index) => (index === 19 ? [40, 41] : square(index)), { smallestSide: 32 }]],
  ['S is larger than the crop', [square, { smallestSide: 33 }]],
])('random crops differ in each epoch where %s', async (_, files) => {
  const { notices } = await trainedOnFiles(files, 'auto')
  expect(notices).toMatch(/the output differs in each epoch; randomCrop: false \(--no-crop\) would/)
})
