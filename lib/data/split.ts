import { integer, unexpected } from '../options.js'
import { Random } from '../random.js'
import type { Dataset } from './dataset.js'
import { wrappedDataset } from './wrapped.js'

/** The numbers of at most `limit` images: all, or a sample by chance in rising order. */
export function sampleOf(count: number, limit: number, seed: number): Int32Array {
  if (count <= limit) return Int32Array.from({ length: count }, (_, index) => index)
  return new Random(seed).permutation(count).slice(0, limit).sort()
}

/** The images of `data` with these indices, in this order. Labels are copied, pixels are not. */
export function subset(data: Dataset, indices: Int32Array): Dataset {
  const chosen = Int32Array.from(indices, (index) => integer(0, data.count - 1)(index, 'indices'))
  const labels = chosen.map((index) => data.labels[index] ?? -1)
  const fields = { count: chosen.length, labels }
  return wrappedDataset(data, { fields, indexOf: (index) => chosen[index] ?? -1 })
}

/** A dataset in two parts that share no image. */
export interface Split {
  /** What a network learns from. */
  readonly training: Dataset
  /** What was held out. */
  readonly validation: Dataset
}

/**
 * Holds out images for validation by chance, so that every class keeps its share in both parts (stratified).
 *
 * @param heldOut images of the validation part: 1 to `data.count - 1`
 * @param seed equal seeds give equal parts
 * @throws VggError INVALID_ARGUMENT
 */
export function stratifiedSplit(data: Dataset, heldOut: number, seed: number): Split {
  const { training, validation } = stratifiedIndices(data.labels, data.classNames.length, heldOut, seed)
  return { training: subset(data, training), validation: subset(data, validation) }
}

/** The indices of two parts, as {@link stratifiedSplit} divides images of these labels. */
export function stratifiedIndices(
  labels: Int32Array,
  classes: number,
  heldOut: number,
  seed: number,
): { training: Int32Array; validation: Int32Array } {
  if (labels.length < 2) throw unexpected('at least 2 images', 'a split', labels.length)
  integer(1, labels.length - 1)(heldOut, 'heldOut')
  const random = new Random(seed)
  const training: number[] = []
  const validation: number[] = []
  let seen = 0
  for (const members of membersOf(labels, classes)) {
    // Rounding the running sum, not each class: the parts add up to exactly what was asked for.
    const before = Math.round((seen * heldOut) / labels.length)
    seen += members.length
    const cut = Math.round((seen * heldOut) / labels.length) - before
    random.shuffle(members)
    for (const [position, index] of members.entries()) (position < cut ? validation : training).push(index)
  }
  return { training: Int32Array.from(training), validation: Int32Array.from(validation) }
}

/** The indices of each class. */
function membersOf(labels: Int32Array, classes: number): number[][] {
  const members: number[][] = Array.from({ length: classes }, () => [])
  labels.forEach((label, index) => {
    members[label]?.push(index)
  })
  return members
}
