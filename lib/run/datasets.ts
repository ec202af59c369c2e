import { cachedDataset } from '../data/cache/cache.js'
import type { Dataset } from '../data/dataset.js'
import { paddedDataset } from '../data/derived.js'
import type { SmallestSide } from '../data/images/crop.js'
import { type PhotoOptions, photoDataset } from '../data/sources/photo-dataset.js'
import type { PhotoList } from '../data/sources/photo-list.js'
import { VggError } from '../error.js'
import type { Preprocessing } from '../vgg/preprocessing.js'
import type { VGG } from '../vgg/vgg.js'
import type { RunDescription } from './description.js'
import type { Sources } from './sources.js'

/** The datasets of a run, of the size that its network takes. */
export interface Datasets {
  readonly training: Dataset
  readonly validation: Dataset | undefined
}

type Size = readonly [height: number, width: number]

const usual: Size = [224, 224]

/** S, where it was not said: what the model was trained with; else the paper's 256 for a crop of 224, in proportion. */
export const sideOf = (asked: SmallestSide | undefined, before: Preprocessing | undefined, size: Size): SmallestSide =>
  asked ?? before?.smallestSide ?? Math.round((Math.max(...size) * 256) / 224)

function photosOf(list: PhotoList, options: PhotoOptions, cache: string | undefined): Dataset {
  return cache === undefined ? photoDataset(list, options) : cachedDataset(list, { ...options, cache })
}

/** The images as a network of this size and preprocessing takes them. */
export function datasetsFor(
  sources: Sources,
  { photographs, background }: Pick<RunDescription, 'photographs' | 'background'>,
  net: Pick<VGG, 'imageSize' | 'channels'> & { readonly preprocessing: Preprocessing | undefined },
): Datasets {
  const [height, width] = net.imageSize
  if (sources.kind === 'fixed') {
    const { training, validation } = sources
    const size = { height, width }
    return {
      training: paddedDataset(training, size, background),
      validation: validation && paddedDataset(validation, size, background),
    }
  }
  const { channels } = net
  if (channels !== 1 && channels !== 3) {
    throw new VggError('SHAPE_MISMATCH', `Expected a network of 1 or 3 channels for images but it takes ${channels}`)
  }
  const { smallestSide, cache, workers, ...changes } = photographs
  const { colour } = net.preprocessing ?? {}
  const options: PhotoOptions = {
    ...changes,
    crop: [height, width],
    channels,
    smallestSide: sideOf(smallestSide, net.preprocessing, net.imageSize),
    colour: changes.colour && channels === 3 ? colour : undefined,
    ...(workers !== undefined && { workers }),
  }
  return {
    training: photosOf(sources.training, options, cache),
    validation: sources.validation && photosOf(sources.validation, options, cache),
  }
}

/** The size of the images that a new network is made for. */
export function shapeOf({ model }: RunDescription, sources: Sources): { imageSize: Size; channels: number } {
  const { imageSize, channels } = model
  if (sources.kind === 'files') return { imageSize: imageSize ?? usual, channels: channels ?? 3 }
  const { training } = sources
  const least: Size = [Math.max(32, training.height), Math.max(32, training.width)]
  return { imageSize: imageSize ?? least, channels: channels ?? training.channels }
}
