import { VggError } from '../error.js'
import { arrayOf, text } from '../options.js'
import type { Dataset } from './dataset.js'
import { wrappedDataset } from './wrapped.js'

/**
 * The same images with their classes counted as a model counts them: by name.
 *
 * @param classNames the model's; none: the classes are the same by their numbers
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH for a class that the model does not know
 */
export function withClasses(data: Dataset, classNames: readonly string[]): Dataset {
  if (arrayOf(text)(classNames, 'classNames').length === 0) return data
  const positions = data.classNames.map((name) => classNames.indexOf(name))
  const unknown = data.classNames.filter((_, index) => positions[index] === -1)
  if (unknown.length > 0) {
    const known = classNames.length > 20 ? `${classNames.slice(0, 20).join(', ')}, ...` : classNames.join(', ')
    const message = `Expected classes that the model knows (${known}) but the data have ${unknown.slice(0, 5).join(', ')}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  const labels = data.labels.map((label) => positions[label] ?? -1)
  return wrappedDataset(data, { fields: { labels, classNames } })
}
