import { VggError } from '../error.js'
import { integer } from '../options.js'
import { type Dataset, imageBytes, imageText, type Unreadable } from './dataset.js'

/** Copies each row of the small pictures in `from` into the middle of the larger ones in `into`. */
function copyCentred(
  from: Uint8Array,
  small: Dataset,
  into: Uint8Array,
  large: { height: number; width: number },
): void {
  const top = (large.height - small.height) >> 1
  const left = (large.width - small.width) >> 1
  const rowBytes = small.width * small.channels
  const rows = from.length / rowBytes
  for (let row = 0; row < rows; row++) {
    const image = Math.floor(row / small.height)
    const line = image * large.height + top + (row % small.height)
    into.set(from.subarray(row * rowBytes, (row + 1) * rowBytes), (line * large.width + left) * small.channels)
  }
}

/**
 * The same pictures in the middle of larger ones: MNIST's 28x28 digits in the 32x32 that five poolings need.
 *
 * @param size the size wanted; equal to the dataset's gives the dataset itself
 * @param background value of the new pixels, 0 (black) to 255
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH where the pictures are larger than that: nothing is cropped or squashed.
 */
export function paddedDataset(data: Dataset, size: { height: number; width: number }, background = 0): Dataset {
  const [height, width] = [integer(1)(size.height, 'height'), integer(1)(size.width, 'width')]
  integer(0, 255)(background, 'background')
  if (height < data.height || width < data.width) {
    const message = `Expected pictures of at most ${height}x${width} but the data's are ${imageText(data)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (height === data.height && width === data.width) return data
  async function read(indices: Int32Array, into: Uint8Array): Promise<readonly Unreadable[]> {
    const small = new Uint8Array(indices.length * imageBytes(data))
    const unreadable = await data.read(indices, small)
    into.fill(background)
    copyCentred(small, data, into, { height, width })
    return unreadable
  }
  const { count, channels, labels, classNames } = data
  const nameOf = data.nameOf?.bind(data)
  return { count, height, width, channels, labels, classNames, read, ...(nameOf && { nameOf }) }
}
