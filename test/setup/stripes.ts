import type { Dataset } from '../../lib/data/dataset.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { Random } from '../../lib/random.js'
import type { VggOptions } from '../../lib/vgg/options.js'
import { VGG } from '../../lib/vgg/vgg.js'

/** Grey 32x32 images of lying, progress and leaning stripes, with noise: learnt within a few steps. */
export function stripes(count: number, seed: number): Dataset {
  const random = new Random(seed)
  const labels = Int32Array.from({ length: count }, () => random.integer(3))
  const images = new Uint8Array(count * 1024)
  labels.forEach((label, image) => {
    const phase = random.uniform(0, 6)
    for (let position = 0; position < 1024; position++) {
      const [row, column] = [position >> 5, position & 31]
      const along = [row, column, row + column][label] ?? 0
      images[image * 1024 + position] = 128 + 80 * Math.sin(along + phase) + random.uniform(-30, 30)
    }
  })
  return arrayDataset({ images, shape: [count, 32, 32, 1], labels, classNames: ['lying', 'progress', 'leaning'] })
}

/** Configuration A, narrow enough for a step to take milliseconds. */
export function smallNet(options: Partial<VggOptions> = {}): Promise<VGG> {
  return VGG.create({
    variant: 'A',
    classes: 3,
    channels: 1,
    imageSize: 32,
    width: 0.125,
    headWidth: 32,
    initialisation: 'he',
    device: 'cpu',
    threads: 2,
    seed: 1,
    ...options,
  })
}
