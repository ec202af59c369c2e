import type { SkippedImage } from '../data/batch.js'
import { type Dataset, datasetCheck } from '../data/dataset.js'
import type { PhotoSource } from '../data/images/decode.js'
import { photoDataset } from '../data/sources/photo-dataset.js'
import { checkedList, type PhotoList } from '../data/sources/photo-list.js'
import { readPhotoOptions } from '../data/sources/photo-options.js'
import { throwIfAborted, VggError } from '../error.js'
import { Network } from '../network/network.js'
import { instanceOf, isObject, unexpected } from '../options.js'
import { Tensor, valuesOf } from '../tensor.js'
import { VGG } from '../vgg/vgg.js'
import { Embedder } from './embedder.js'
import { type FeatureColumns, stackedScales } from './feature-description.js'
import { cropSource, denseSource, type ImageSource } from './image-source.js'
import { type EmbedOptions, type EmbedSettings, readEmbedOptions } from './options.js'

/**
 * Images whose features are computed: a dataset of images of one size; a list of image files, `(await readFolder(path)).training`;
 * or paths, or bytes of image files, without labels, such as `await imageFilesBelow(path)`.
 */
export type EmbedData = Dataset | PhotoList | readonly PhotoSource[]

/** Features of images. */
export interface Embedding {
  /** A row for each image that could be read, in the order of the data: [N, D], or [N, S, D] if scales are stacked. */
  readonly features: Tensor<'float32'>
  /** Class of each image: [N]. */
  readonly labels: Int32Array
  /** Name of each image, such as its path. */
  readonly names: readonly string[]
  /** What the D columns are. */
  readonly columns: readonly FeatureColumns[]
  /** The images that could not be read; `index` is their index in the data. */
  readonly unreadable: readonly SkippedImage[]
}

/**
 * Computes features of images: tensors of a network, pooled over space, averaged or stacked over scales (App. B of the paper).
 *
 * With `scales`, whole images of a list are resized so that their smaller side has that length, and are not cropped: the fully
 * connected layers are applied at all positions. Without, images have the network's size, as for `evaluate`. For each image and
 * scale, in this order: the tensors are pooled and transformed; the mirrored image's are averaged with them; scales are averaged
 * or stacked; the whole row is divided by its Euclidean length.
 *
 * @param data images of one size, image files with labels, or image files
 * @throws INVALID_ARGUMENT; SHAPE_MISMATCH for images too small for a layer; FILE_NOT_FOUND, FILE_FORMAT for an image that cannot
 *   be read; NOT_FINITE with its name; OUT_OF_MEMORY; ABORTED; DISPOSED
 */
export async function embed(net: Network, data: EmbedData, options?: EmbedOptions): Promise<Embedding> {
  const settings = readEmbedOptions(instanceOf(Network)(net, 'net'), options)
  const source = sourceFor(net, data, settings)
  const embedder = new Embedder(net, [source], settings)
  const { parts, count, rowLength, taken } = embedder
  const rows = valuesOf(Tensor.zeros([count, rowLength]))
  const kept: number[] = []
  const unreadable: SkippedImage[] = []
  for (const part of parts) {
    throwIfAborted(settings.signal, 'The embedding')
    const found = await embedder.compute(part)
    rows.set(found.features, kept.length * rowLength)
    kept.push(...found.indices)
    unreadable.push(...found.unreadable)
    await settings.onProgress?.({ done: part.first + part.count, of: count })
  }
  const stacked = stackedScales({ aggregate: settings.aggregate, scales: settings.scales ?? null })
  const shape = stacked === undefined ? [kept.length, rowLength] : [kept.length, stacked, rowLength / stacked]
  return {
    features: Tensor.from(rows.subarray(0, kept.length * rowLength), shape),
    labels: Int32Array.from(kept, (index) => source.labels[index] ?? -1),
    names: kept.map((index) => source.nameOf(index)),
    columns: taken.columns,
    unreadable,
  }
}

const isList = (data: unknown): data is PhotoList => isObject(data) && Array.isArray(data.sources)

/** The images of a caller. @throws INVALID_ARGUMENT, SHAPE_MISMATCH */
export function sourceFor(net: Network, data: EmbedData, settings: EmbedSettings): ImageSource {
  if (Array.isArray(data)) {
    const names = data.map((image, index) => (typeof image === 'string' ? image : `images[${index}]`))
    const list = { sources: data, names, labels: new Int32Array(data.length), classNames: [''] }
    return { ...sourceFor(net, list, settings), labels: new Int32Array(data.length).fill(-1), classNames: [] }
  }
  const { scales, onUnreadable, batchPixels, workers, formats, pixelLimit, decodeSeconds, decodeBytes } = settings
  if (!isList(data)) {
    if (scales === undefined) return cropSource(datasetCheck(data, 'data'), batchPixels)
    throw unexpected('a list of image files, (await readFolder(path)).training, with the option scales', 'data', data)
  }
  if (scales !== undefined) return wholeImages(net, data, settings, scales)
  if (!(net instanceof VGG)) throw unexpected('a VGG, whose image size is known, for image files,', 'net', net)
  const options = { formats, pixelLimit, decodeSeconds, decodeBytes, workers, net, onUnreadable }
  const { smallestSide } = readPhotoOptions(options).cropOptions
  return cropSource(photoDataset(data, options), batchPixels, { files: data.sources, smallestSide })
}

/** Whole images at these scales. @throws SHAPE_MISMATCH */
export function wholeImages(
  { channels }: Network,
  list: PhotoList,
  settings: EmbedSettings,
  scales: readonly number[],
): ImageSource {
  if (channels !== 1 && channels !== 3)
    throw new VggError('SHAPE_MISMATCH', `Expected a network of 1 or 3 channels for images but it takes ${channels}`)
  return denseSource(checkedList(list), { ...settings, scales, channels })
}
