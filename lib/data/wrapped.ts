import type { Dataset } from './dataset.js'

/** What a wrapper changes of a dataset. What is left out stays as it is. */
interface Wrapping {
  /** Fields that differ. */
  readonly fields: Partial<Pick<Dataset, 'count' | 'height' | 'width' | 'labels' | 'classNames'>>
  /** The index in the wrapped dataset of the image at an index of the wrapper. */
  readonly indexOf?: (index: number) => number
  /** Calls `read` with memory for images of the wrapped dataset's size, and writes them to `into` as the wrapper has them. */
  readonly through?: <T>(into: Uint8Array, read: (pixels: Uint8Array) => Promise<T>) => Promise<T>
}

/** A dataset made of another one. The only code that lists what a dataset has, so that no wrapper loses a method. */
export function wrappedDataset(data: Dataset, { fields, indexOf, through }: Wrapping): Dataset {
  const { count, height, width, channels, labels, classNames } = data
  const own = (indices: Int32Array) => (indexOf ? indices.map(indexOf) : indices)
  const reading = through ?? ((into, read) => read(into))
  const readAugmented = data.readAugmented?.bind(data)
  const nameOf = data.nameOf?.bind(data)
  return {
    ...{ count, height, width, channels, labels, classNames, ...fields },
    read: (indices, into) => reading(into, (pixels) => data.read(own(indices), pixels)),
    ...(readAugmented && {
      readAugmented: (indices, randoms, into) =>
        reading(into, (pixels) => readAugmented(own(indices), randoms, pixels)),
    }),
    ...(nameOf && { nameOf: (index) => nameOf(indexOf ? indexOf(index) : index) }),
  }
}
