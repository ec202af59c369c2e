import { load } from '../checkpoint/checkpoint.js'
import { cachedDataset } from '../data/cache.js'
import type { Dataset } from '../data/dataset.js'
import { meanOf } from '../data/mean.js'
import { paddedDataset } from '../data/padded.js'
import { type PhotoList, type PhotoOptions, photoDataset } from '../data/photographs.js'
import { statisticsOf } from '../data/statistics.js'
import type { SmallestSide } from '../data/view.js'
import { VggError } from '../error.js'
import { replaceHead } from '../vgg/head.js'
import type { Preprocessing } from '../vgg/preprocessing.js'
import { VGG } from '../vgg/vgg.js'
import type { RunDescription } from './description.js'
import { modelFile } from './folder.js'
import type { Sources } from './sources.js'

/** The datasets of a run, of the size that its network takes. */
export interface Datasets {
  readonly training: Dataset
  readonly validation: Dataset | undefined
}

type Size = readonly [height: number, width: number]

/** Photographs at most that mean and colours are fitted on. */
const fitted = 10_000

const usual: Size = [224, 224]

/** S, where it was not said: what the model was trained with; else the paper's 256 for a crop of 224, in proportion. */
const sideOf = (asked: SmallestSide | undefined, before: Preprocessing | undefined, size: Size): SmallestSide =>
  asked ?? before?.smallestSide ?? Math.round((Math.max(...size) * 256) / 224)

function photosOf(list: PhotoList, options: PhotoOptions, cache: string | undefined): Dataset {
  return cache === undefined ? photoDataset(list, options) : cachedDataset(list, { ...options, cache })
}

/** The pictures as a network of this size and preprocessing takes them. */
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
    throw new VggError(
      'SHAPE_MISMATCH',
      `Expected a network of 1 or 3 channels for photographs but it takes ${channels}`,
    )
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

/** The network that a run begins with. */
export async function openNetwork(description: RunDescription, sources: Sources): Promise<VGG> {
  const { start } = description
  const { from } = start
  if (from !== undefined) return loadStart(from, description, sources)
  const net = await createNetwork(description, sources)
  if (start.transplant === undefined) return net
  try {
    await transplant(net, start.transplant, description)
    return net
  } catch (error) {
    net.dispose()
    throw error
  }
}

const runOptions = ({ device, seed }: RunDescription) => ({ ...device, seed })

async function loadStart(from: string, description: RunDescription, sources: Sources): Promise<VGG> {
  const net = await withClasses(await load(await modelFile(from), runOptions(description)), description, sources)
  const { smallestSide } = description.photographs
  if (smallestSide !== undefined) net.preprocessing = { ...net.preprocessing, smallestSide }
  return net
}

/** The model itself where its classes are those of the pictures; else the model with a new last layer. */
async function withClasses(net: VGG, description: RunDescription, { training }: Sources): Promise<VGG> {
  const { classNames } = training
  // a model without names learns these pictures' classes by their numbers
  const unnamed = net.classNames.length === 0
  const fits = net.classes === classNames.length
  if (fits && (unnamed || net.classNames.every((name, index) => name === classNames[index]))) return net
  try {
    return await replaceHead(net, { classes: classNames.length, classNames, ...runOptions(description) })
  } finally {
    net.dispose()
  }
}

async function transplant(net: VGG, from: string, description: RunDescription): Promise<void> {
  const other = await load(await modelFile(from), { ...runOptions(description), device: 'cpu', precision: 'float32' })
  try {
    const { notCopied } = await net.initialiseFrom(other)
    const [first] = notCopied
    if (first) throw new VggError('SHAPE_MISMATCH', `Could not take ${first.name} from ${from}: ${first.reason}`)
  } finally {
    other.dispose()
  }
}

async function createNetwork(description: RunDescription, sources: Sources): Promise<VGG> {
  const { model, photographs } = description
  const known = sources.training.classNames
  const classes = model.classes ?? known.length
  const channels = model.channels ?? (sources.kind === 'fixed' ? sources.training.channels : 3)
  const imageSize = model.imageSize ?? sizeOf(sources)
  const before =
    sources.kind === 'photographs'
      ? { smallestSide: sideOf(photographs.smallestSide, undefined, imageSize) }
      : undefined
  const { meanRgb, colour } = await fittedOn(description, sources, { imageSize, channels, preprocessing: before })
  return VGG.create({
    ...model,
    ...runOptions(description),
    classes,
    channels,
    imageSize,
    meanRgb: model.meanRgb ?? meanRgb,
    ...(known.length === classes && { classNames: known }),
    ...(before && { preprocessing: { ...before, ...(colour && { colour }) } }),
  })
}

const sizeOf = (sources: Sources): Size =>
  sources.kind === 'photographs' ? usual : [Math.max(32, sources.training.height), Math.max(32, sources.training.width)]

type Shown = Parameters<typeof datasetsFor>[2]

/** Mean and colours of the training pictures, as they come to the network in evaluation. */
async function fittedOn(description: RunDescription, sources: Sources, shown: Shown) {
  // not of the border that pictures of one size are given
  if (sources.kind === 'fixed') return { meanRgb: await meanOf(sources.training), colour: undefined }
  const { training } = datasetsFor(sources, description, shown)
  const { mean, colour } = await statisticsOf(training, { limit: fitted, seed: description.seed })
  return { meanRgb: mean, colour: description.photographs.colour ? colour : undefined }
}
