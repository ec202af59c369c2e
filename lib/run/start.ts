import { VggError } from '../error.js'
import { replaceHead } from '../vgg/head.js'
import { VGG } from '../vgg/vgg.js'
import { shapeOf, sideOf } from './datasets.js'
import type { RunDescription } from './description.js'
import { fitted } from './fitted.js'
import { loadModel } from './folder.js'
import type { Sources } from './sources.js'

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
  const net = await withClasses(await loadModel(from, runOptions(description)), description, sources)
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
  const other = await loadModel(from, { ...runOptions(description), device: 'cpu', precision: 'float32' })
  try {
    const { notCopied } = await net.initialiseFrom(other)
    const [first] = notCopied
    if (first) throw new VggError('SHAPE_MISMATCH', `Could not take ${first.name} from ${from}: ${first.reason}`)
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
    ...runOptions(description),
    ...shape,
    classes,
    ...(known.length === classes && { classNames: known }),
    ...(sources.kind === 'photographs' && { preprocessing: before }),
  })
}
