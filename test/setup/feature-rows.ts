import type { FeatureColumns, FeatureDescription } from '../../lib/embed/feature-description.js'
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

/** The description of features of these columns, of a network that nobody has; `changes` to it. */
export const featureDescription = (
  columns: readonly FeatureColumns[],
  changes: Partial<FeatureDescription> = {},
): FeatureDescription => ({
  ...{ version: 1, classNames: ['cat', 'dog'], model: { path: null, sha256: '0'.repeat(64) }, columns },
  layers: [...new Set(columns.map(({ layer }) => layer))],
  ...{ pool: ['mean'], transform: 'none', scales: null, aggregate: 'mean', flip: false, normalise: 'none' },
  pixels: { channels: 3, crop: [224, 224], smallestSide: 256 },
  ...changes,
})

/** Writes such features, of images `0.png`, `1.png` ..., as `vggnet embed` does. */
export async function writeFeatureRows(
  file: string,
  [count, width, classes]: readonly [number, number, number],
  { seed = 1, labels }: { seed?: number; labels?: Int32Array } = {},
): Promise<void> {
  const made = featureRows(count, width, classes, seed)
  const columns = [{ layer: 'fc7', pool: 'none', start: 0, length: width }] as const
  const description = featureDescription(columns, { classNames: made.classNames })
  const names = Array.from({ length: count }, (_, row) => `${row}.png`)
  await writeFeatures(file, { description, labels: labels ?? made.labels, names, rows: [made.values] })
}
