import { writeFeatures } from '../../lib/embed/feature-file.js'
import { Random } from '../../lib/index.js'

/** Random features of `columns` numbers, of which the first one separates the classes but for noise; classes in turns. */
export function featureRows(count: number, columns: number, classes: number, seed = 1) {
  const random = new Random(seed)
  const labels = Int32Array.from({ length: count }, (_, row) => row % classes)
  const values = Float32Array.from({ length: count * columns }, (_, index) => {
    const column = index % columns
    const label = Math.floor(index / columns) % classes
    return random.normal() + (column === 0 ? 3 * label : 0)
  })
  return { values, labels, classNames: Array.from({ length: classes }, (_, label) => `class-${label}`) }
}

/** Writes such features, of images `0.png`, `1.png` ..., as `vggnet embed` does. */
export async function writeFeatureRows(
  file: string,
  [count, columns, classes]: readonly [number, number, number],
  { seed = 1, labels }: { seed?: number; labels?: Int32Array } = {},
): Promise<void> {
  const made = featureRows(count, columns, classes, seed)
  const description = {
    version: 1,
    classNames: made.classNames,
    model: { path: null, sha256: '0'.repeat(64) },
    columns: [{ layer: 'fc7', pool: 'none', start: 0, length: columns }],
    layers: ['fc7'],
    pool: ['mean'],
    transform: 'none',
    scales: null,
    aggregate: 'mean',
    flip: false,
    normalise: 'none',
    pixels: { channels: 3, crop: [224, 224], smallestSide: 256 },
  } as const
  const names = Array.from({ length: count }, (_, row) => `${row}.png`)
  await writeFeatures(file, { description, labels: labels ?? made.labels, names, rows: [made.values] })
}
