import { meanOf, type StatisticsOptions, statisticsOf } from '../data/statistics.js'
import { VggError } from '../error.js'
import { replaceHead, withDropout } from '../vgg/head.js'
import { variant } from '../vgg/variants.js'
import { layersOfA, VGG } from '../vgg/vgg.js'
import { datasetsFor, shapeOf, sideOf } from './datasets.js'
import type { RunDescription } from './description.js'
import { loadModel } from './folder.js'
import type { Sources } from './sources.js'
import { adapted } from './start-model.js'

/** The network at the start of a run. */
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

/** The model to continue from, with a new last layer for other classes and with another dropout if asked. */
async function loadStart(from: string, description: RunDescription, { training }: Sources): Promise<VGG> {
  const run = runOptions(description)
  const { classNames } = training
  let net = await loadModel(from, run)
  try {
    const { model, lastLayer } = adapted(description.model, from, net, classNames)
    const { classes, dropout, initialisation } = model
    if (lastLayer === 'new') {
      const head = { classes, ...(classes === classNames.length && { classNames }) }
      net = await replaced(net, replaceHead(net, { ...head, ...(initialisation && { initialisation }), ...run }))
    }
    if (dropout !== net.configuration.dropout) net = await replaced(net, withDropout(net, dropout, run))
    const { smallestSide, colour } = description.photographs
    const changes = {
      ...(smallestSide !== undefined && { smallestSide }),
      ...(typeof colour === 'object' && { colour }),
    }
    if (Object.keys(changes).length > 0) net.preprocessing = { ...net.preprocessing, ...changes }
    return net
  } catch (error) {
    net.dispose()
    throw error
  }
}

/** The network made from another one, which is disposed. */
async function replaced(net: VGG, made: Promise<VGG>): Promise<VGG> {
  const other = await made
  net.dispose()
  return other
}

async function transplant(net: VGG, from: string, description: RunDescription): Promise<void> {
  const other = await loadModel(from, { ...runOptions(description), device: 'cpu', precision: 'float32' })
  try {
    await net.initialiseFrom(other, { layers: layersOfA })
  } catch (error) {
    if (!(error instanceof VggError) || error.code !== 'SHAPE_MISMATCH') throw error
    throw new VggError('SHAPE_MISMATCH', `Could not take the layers of A from ${from}: ${error.message}`, {
      cause: error,
    })
  } finally {
    other.dispose()
  }
}

async function createNetwork(description: RunDescription, sources: Sources): Promise<VGG> {
  const { model, photographs } = await fitted(description, sources)
  const known = sources.training.classNames
  const shape = shapeOf(description, sources)
  const classes = model.classes ?? known.length
  const { colour } = photographs
  const before = {
    smallestSide: sideOf(photographs.smallestSide, undefined, shape.imageSize),
    ...(typeof colour === 'object' && { colour }),
  }
  return VGG.create({
    ...model,
    variant: variant(model.variant, 'variant'),
    ...runOptions(description),
    ...shape,
    classes,
    ...(known.length === classes && { classNames: known }),
    ...(sources.kind === 'files' && { preprocessing: before }),
  })
}

/** Largest number of images from which mean and colour shift are computed. */
const mostFitted = 10_000

/**
 * The description completed by the mean of the training images, before random augmentation, and the principal axes of their
 * colours (Sect. 3.1). Reads no image if both are given or come with a model to start from.
 */
export async function fitted(
  description: RunDescription,
  sources: Sources,
  watch: Pick<StatisticsOptions, 'signal' | 'onProgress'> = {},
): Promise<RunDescription> {
  const { model, photographs, start, seed } = description
  if (start.from !== undefined) return description
  const shape = shapeOf(description, sources)
  const wanted = sources.kind === 'files' && photographs.colour === true && shape.channels === 3
  if (model.meanRgb !== undefined && !wanted) return description
  // at the size of the network, with their borders
  const { training } = datasetsFor(sources, description, { ...shape, preprocessing: undefined })
  if (sources.kind === 'fixed') return { ...description, model: { ...model, meanRgb: await meanOf(training) } }
  const { mean, colour } = await statisticsOf(training, { limit: mostFitted, seed, ...watch })
  return {
    ...description,
    photographs: { ...photographs, ...(wanted && colour && { colour }) },
    model: { ...model, meanRgb: model.meanRgb ?? mean },
  }
}
