import { describe, expect, test } from 'vitest'
import { cachedDataset } from '../../lib/data/cache/cache.js'
import type { Dataset } from '../../lib/data/dataset.js'
import { paddedDataset, stratifiedIndices, stratifiedSplit, subset, withClasses } from '../../lib/data/derived.js'
import { cachedPhotos } from '../setup/cached-photos.js'
import { all, randomsOf } from '../setup/photos.js'

/**
 * A dataset with every field of `Dataset`, including optional ones: a new field does not compile until it is added
 * here. Image i is filled with i; augmentation adds 100, mirrors image 1 and shifts by i. Its methods use `this`.
 */
class Complete implements Required<Dataset> {
  readonly count = 4
  readonly height = 2
  readonly width = 2
  readonly channels = 1
  readonly labels = Int32Array.of(0, 1, 0, 1)
  readonly classNames = ['a', 'b']
  async read(indices: Int32Array, into: Uint8Array) {
    for (const [position, index] of indices.entries()) into.fill(index, position * 4, position * 4 + 4)
    return [{ position: 0, name: this.nameOf(indices[0] ?? -1), reason: 'damaged' }]
  }
  async readAugmented(indices: Int32Array, randoms: readonly unknown[], into: Uint8Array) {
    const unreadable = await this.read(indices, into)
    for (const [position, value] of into.entries()) into[position] = value + 100
    const flip = Uint8Array.from(indices, (index) => Number(index === 1))
    return { flip, shift: Float32Array.from(indices), unreadable: randoms.length === indices.length ? unreadable : [] }
  }
  readonly randomReads = {
    changes: ['colour' as const],
    flips: (randoms: readonly unknown[]) => new Uint8Array(randoms.length),
  }
  nameOf(index: number): string {
    return `${index} of ${this.count}`
  }
}

const complete: Required<Dataset> = new Complete()
const fields: Record<keyof Dataset, true> = {
  ...{ count: true, height: true, width: true, channels: true, labels: true, classNames: true },
  ...{ read: true, readAugmented: true, randomReads: true, nameOf: true },
}
const names = Object.keys(fields) as (keyof Dataset)[]

/** Each derived dataset, and the index in `complete` of each of its images. */
const wrappers: [string, Dataset, number[]][] = [
  ['subset', subset(complete, Int32Array.of(3, 1)), [3, 1]],
  [
    'stratifiedSplit',
    stratifiedSplit(complete, 1, 1).training,
    [...stratifiedIndices(complete.labels, 2, 1, 1).training],
  ],
  ['withClasses', withClasses(complete, ['b', 'c', 'a']), [0, 1, 2, 3]],
  ['paddedDataset', paddedDataset(complete, { height: 4, width: 6 }, 9), [0, 1, 2, 3]],
]

describe.each(wrappers)('%s', (_, data, own) => {
  const bytes = data.height * data.width
  const middle = (data.height / 2 - 1) * data.width + data.width / 2 - 1
  const values = (pixels: Uint8Array) => own.map((_, position) => pixels[position * bytes + middle])
  const unreadable = [{ position: 0, name: `${own[0]} of 4`, reason: 'damaged' }]

  test('has every field of its base', () => {
    expect(names.filter((name) => data[name] === undefined)).toEqual([])
    expect(own.map((_, position) => data.nameOf?.(position))).toEqual(own.map((index) => `${index} of 4`))
  })

  test('passes on the results of read and readAugmented', async () => {
    const pixels = new Uint8Array(own.length * bytes)
    expect(await data.read(all(own.length), pixels)).toEqual(unreadable)
    expect(values(pixels)).toEqual(own)
    const augmented = await data.readAugmented?.(all(own.length), randomsOf(own.length), pixels)
    expect(augmented).toEqual({
      flip: Uint8Array.from(own, (index) => Number(index === 1)),
      shift: Float32Array.from(own),
      unreadable,
    })
    expect(values(pixels)).toEqual(own.map((index) => index + 100))
  })
})

test('a dataset derived from one without augmentation and names has none either', () => {
  const { count, height, width, channels, labels, classNames } = complete
  const plain: Dataset = { count, height, width, channels, labels, classNames, read: async () => [] }
  const wrapped = [subset(plain, all(2)), withClasses(plain, ['b', 'a']), paddedDataset(plain, { height: 4, width: 4 })]
  for (const data of wrapped)
    expect([data.readAugmented, data.randomReads, data.nameOf]).toEqual([undefined, undefined, undefined])
})

test('the border of every augmented image is background', async () => {
  const data = paddedDataset(complete, { height: 4, width: 4 }, 9)
  const pixels = new Uint8Array(2 * 16)
  await data.readAugmented?.(Int32Array.of(2, 3), randomsOf(2), pixels)
  const image = (value: number) => [9, 9, 9, 9, 9, value, value, 9, 9, value, value, 9, 9, 9, 9, 9]
  expect([...pixels]).toEqual([...image(102), ...image(103)])
})

test('a cached dataset has every field', () => {
  const { list, options } = cachedPhotos(2)
  const data: Dataset = cachedDataset(list, options)
  expect(names.filter((name) => data[name] === undefined)).toEqual([])
})
