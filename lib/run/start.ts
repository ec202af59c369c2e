import { VggError } from '../error.js'
import { variant } from '../vgg/variants.js'
import { layersOfA, replaceHead, VGG, withDropout } from '../vgg/vgg.js'
import { shapeOf, sideOf } from './datasets.js'
import type { RunDescription } from './description.js'
import { fitted } from './fitted.js'
import { loadModel } from './folder.js'
import type { Sources } from './sources.js'
import { adapted } from './start-model.js'

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

/** The model itself, or one with its weights: with a new last layer for other classes, with another dropout. */
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

/** What was made of a network, which is disposed of then. */
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
