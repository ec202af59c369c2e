import { cachedDataset } from '../data/cache/cache.js'
import type { Dataset } from '../data/dataset.js'
import { paddedDataset } from '../data/derived.js'
import type { SmallestSide } from '../data/images/crop.js'
import { photoDataset } from '../data/sources/photo-dataset.js'
import type { PhotoList } from '../data/sources/photo-list.js'
import type { PhotoOptions } from '../data/sources/photo-options.js'
import { VggError } from '../error.js'
import { optional } from '../options.js'
import { scheduleCheck } from '../train/schedule.js'
import { checkBatch, chosenText, sizedOptions } from '../train/sized-options.js'
import { modelTable } from '../vgg/configuration.js'
import type { Preprocessing } from '../vgg/preprocessing.js'
import type { VGG } from '../vgg/vgg.js'
import type { RunDescription, RunRequest } from './description.js'
import type { Sources } from './sources.js'

/** The datasets of a run, at the image size of its network. */
export interface Datasets {
  readonly training: Dataset
  readonly validation: Dataset | undefined
}

type Size = readonly [height: number, width: number]

/** The smaller side S. Default: that of the model's training, or 256/224 of the crop (Sect. 3.1). */
export const sideOf = (asked: SmallestSide | undefined, before: Preprocessing | undefined, size: Size): SmallestSide =>
  asked ?? before?.smallestSide ?? Math.round((Math.max(...size) * 256) / 224)

function photosOf(list: PhotoList, options: PhotoOptions, cache: string | undefined): Dataset {
  return cache === undefined ? photoDataset(list, options) : cachedDataset(list, { ...options, cache })
}

/** The datasets for a network of this size and preprocessing. */
export function datasetsFor(
  sources: Sources,
  { photographs, background }: Pick<RunDescription, 'photographs' | 'background'>,
  net: Pick<VGG, 'imageSize' | 'channels'> & { readonly preprocessing: Preprocessing | undefined },
): Datasets {
  if (sources.kind === 'fixed') {
    const { training, validation } = sources
    const [height, width] = net.imageSize
    const size = { height, width }
    return {
      training: paddedDataset(training, size, background),
      validation: validation && paddedDataset(validation, size, background),
    }
  }
  const { cache, colour, ...changes } = photographs
  const options: PhotoOptions = { ...changes, net, ...(colour === false && { colour }) }
  return {
    training: photosOf(sources.training, options, cache),
    validation: sources.validation && photosOf(sources.validation, options, cache),
  }
}

/** The description of a run with the options that follow from the number of its images. */
export interface SizedRun {
  readonly description: RunDescription
  /** A sentence on the values that were chosen; undefined if all were given. */
  readonly chosen: string | undefined
}

/** Chooses the options that follow from the number of training images. @throws INVALID_ARGUMENT for a batch above it */
export function sizedRun(request: RunRequest, { training, validation }: Pick<Sources, keyof Datasets>): SizedRun {
  const images = training.labels.length
  const given = { ...request.training, schedule: optional(scheduleCheck)(request.training.schedule, 'schedule') }
  checkBatch(given.batch, images)
  const sized = sizedOptions(given, images, validation !== undefined)
  const chosen = chosenText(given, images, validation !== undefined)
  return { description: { ...request, training: { ...request.training, ...sized } }, chosen }
}

/** The image size and channels of a new network. */
export function shapeOf({ model }: RunDescription, sources: Sources): { imageSize: Size; channels: number } {
  const { imageSize, channels } = model
  if (sources.kind === 'files')
    return { imageSize: imageSize ?? modelTable.imageSize.check.fallback, channels: channels ?? 3 }
  const { training } = sources
  const least: Size = [Math.max(32, training.height), Math.max(32, training.width)]
  return { imageSize: imageSize ?? least, channels: channels ?? training.channels }
}

/**
 * Checks that options of image files are given for image files only: on images of one size they have no effect.
 * @throws INVALID_ARGUMENT, with the flag of the option
 */
export function checkImageOptions(photographs: RunDescription['photographs'], kind: Sources['kind']): void {
  if (kind === 'files') return
  const { smallestSide, randomCrop, flip, colour, onUnreadable, cache, workers } = photographs
  const { formats, pixelLimit, decodeSeconds, decodeBytes } = photographs
  const flags = {
    '--smallest-side': smallestSide !== undefined,
    '--no-crop': !randomCrop,
    '--no-flip': !flip,
    '--no-colour': !colour,
    '--on-unreadable skip': onUnreadable === 'skip',
    '--cache': cache !== undefined,
    '--workers': workers !== undefined,
    '--formats': formats !== undefined,
    '--pixel-limit': pixelLimit !== undefined,
    '--decode-seconds': decodeSeconds !== undefined,
    '--decode-bytes': decodeBytes !== undefined,
  }
  const [flag] = Object.entries(flags).find(([, isGiven]) => isGiven) ?? []
  if (flag === undefined) return
  const message = `Expected no ${flag}, which is for image files, with images of one size (IDX, CIFAR)`
  throw new VggError('INVALID_ARGUMENT', message)
}
