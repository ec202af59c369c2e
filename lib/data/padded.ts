import { VggError } from '../error.js'
import { integer } from '../options.js'
import { type Dataset, imageBytes, imageText } from './dataset.js'
import { wrappedDataset } from './wrapped.js'

/** Copies each row of the small images in `from` into the middle of the larger ones in `into`. */
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
 * The same images in the middle of larger ones: MNIST's 28x28 digits in the 32x32 that five poolings need. Everything
 * else (labels, names, augmentation) is that of the dataset given.
 *
 * @param size the size wanted; equal to the dataset's gives the dataset itself
 * @param background value of the new pixels, 0 (black) to 255
 * @throws VggError INVALID_ARGUMENT; SHAPE_MISMATCH where the images are larger than that: nothing is cropped or squashed.
 */
export function paddedDataset(data: Dataset, size: { height: number; width: number }, background = 0): Dataset {
  const [height, width] = [integer(1)(size.height, 'height'), integer(1)(size.width, 'width')]
  integer(0, 255)(background, 'background')
  if (height < data.height || width < data.width) {
    const message = `Expected images of at most ${height}x${width} but the data's are ${imageText(data)}`
    throw new VggError('SHAPE_MISMATCH', message)
  }
  if (height === data.height && width === data.width) return data
  async function through<T>(into: Uint8Array, read: (pixels: Uint8Array) => Promise<T>): Promise<T> {
    const images = into.length / (height * width * data.channels)
    const small = new Uint8Array(images * imageBytes(data))
    const result = await read(small)
    into.fill(background)
    copyCentred(small, data, into, { height, width })
    return result
  }
  return wrappedDataset(data, { fields: { height, width }, through })
}
