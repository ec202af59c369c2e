import { vggModel } from '../checkpoint/model.js'
import { meanOf, type StatisticsOptions, statisticsOf } from '../data/statistics.js'
import { VggError } from '../error.js'
import type { Group } from '../group/group.js'
import { integer } from '../options.js'
import { type AdaptOptions, adaptedConfiguration } from '../vgg/adapted.js'
import { configurationFrom, modelTable, type VggConfiguration } from '../vgg/configuration.js'
import { type VariantLetter, variant, variants } from '../vgg/variants.js'
import { layersOfA, replaceHead, VGG } from '../vgg/vgg.js'
import { adaptedNet, load } from '../weights/load.js'
import { type OpenWeights, withWeights } from '../weights/open.js'
import { datasetsFor, shapeOf, sideOf } from './datasets.js'
import type { RunDescription } from './description.js'
import type { Sources } from './sources.js'

/** The network at the start of a run. @param group ranks that train it together */
export async function openNetwork(description: RunDescription, sources: Sources, group?: Group): Promise<VGG> {
  const { start } = description
  const { from } = start
  if (from !== undefined) return loadStart(from, description, sources, group)
  const net = await createNetwork(description, sources, group)
  if (start.transplant === undefined) return net
  try {
    await transplant(net, start.transplant, description)
    return net
  } catch (error) {
    net.dispose()
    throw error
  }
}

const runOptions = ({ device, seed }: RunDescription, group?: Group) => ({ ...device, seed, ...(group && { group }) })

/** The model to continue from, with a new last layer for other classes and with another dropout if asked. */
async function loadStart(
  from: string,
  description: RunDescription,
  { training }: Sources,
  group: Group | undefined,
): Promise<VGG> {
  const run = runOptions(description, group)
  const { classNames } = training
  const opened = await withWeights(from, {}, async (weights) => {
    const found = startModelOf(weights)
    const { model, lastLayer, changes } = adapted(description.model, from, found, classNames)
    const { classes, initialisation } = model
    const isNew = lastLayer === 'new' && { ...(classes === classNames.length && { classNames }), initialisation }
    const { net } = await adaptedNet(weights, { ...changes, ...isNew, ...run })
    return { net, found, classes, isNew }
  })
  const { found, classes, isNew } = opened
  let { net } = opened
  try {
    // other names of as many classes
    if (isNew && found.configuration.classes === classes)
      net = await replaced(net, replaceHead(net, { classes, ...isNew, ...run }))
    const { smallestSide, colour } = description.photographs
    const before = {
      ...(smallestSide !== undefined && { smallestSide }),
      ...(typeof colour === 'object' && { colour }),
    }
    if (Object.keys(before).length > 0) net.preprocessing = { ...net.preprocessing, ...before }
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
  const other = await load(from, { ...runOptions(description), device: 'cpu', precision: 'float32' })
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

async function createNetwork(description: RunDescription, sources: Sources, group: Group | undefined): Promise<VGG> {
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
    ...runOptions(description, group),
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

/** The model that a run continues from, without its weights. */
interface StartModel {
  readonly configuration: VggConfiguration
  /** Class names; empty if the model has none. */
  readonly classNames: readonly string[]
}

/** Reads the model of a source of weights, without its weights. @throws the errors of `load` */
export async function readStartModel(from: string): Promise<StartModel> {
  return withWeights(from, {}, async (weights) => startModelOf(weights))
}

function startModelOf(weights: OpenWeights): StartModel {
  const { kind, classNames = [], ...options } = vggModel(weights.model)
  return { configuration: configurationFrom(options), classNames }
}

/** The options that belong to the weights of a model, so that other values are refused. */
const fixed = ['variant', 'channels', 'imageSize', 'width', 'headWidth', 'localNorm', 'meanRgb', 'scale'] as const

const flagOf = (name: (typeof fixed)[number]): string => modelTable[name].flag.replace(/ .*/, '')

const valueText = (value: unknown, name: string): string =>
  Array.isArray(value) ? value.join(name === 'imageSize' ? 'x' : ', ') : String(value)

function checkFixed(asked: RunDescription['model'], from: string, { configuration }: StartModel): void {
  const own = { ...configuration, variant: configuration.variant.name }
  for (const name of fixed) {
    // a model without a head gets one of any width, for images of any size
    if ((name === 'headWidth' || name === 'imageSize') && configuration.head === 'none') continue
    const value = name === 'variant' && asked.variant !== undefined ? variant(asked.variant, name) : asked[name]
    // one number stands for all channels
    const whole = typeof value === 'number' && Array.isArray(own[name]) ? own[name].map(() => value) : value
    if (value === undefined || JSON.stringify(whole) === JSON.stringify(configuration[name])) continue
    const received = typeof value === 'object' && 'name' in value ? value.name : value
    const message = `Expected no other ${name} (${flagOf(name)}) than that of the model ${from}, ${valueText(own[name], name)}, but received ${valueText(received, name)}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
}

/** The letter of a row of Table 1; other rows as they are. */
function rowName(row: VggConfiguration['variant']): VariantLetter | VggConfiguration['variant'] {
  const letters = Object.keys(variants) as VariantLetter[]
  return letters.find((letter) => JSON.stringify(variants[letter]) === JSON.stringify(row)) ?? row
}

/** The network of a run that continues from a model. */
interface Adapted {
  /** Complete options of the network: those of the model, with the applicable ones of the description. */
  readonly model: RunDescription['model'] & { readonly classes: number; readonly dropout: number }
  /** Whether the last layer is kept: its classes are those of the data. A model without a head gets a new one. */
  readonly lastLayer: 'kept' | 'new'
  /** The options of `load` that make this network of the model. */
  readonly changes: AdaptOptions
}

/**
 * The options of the network, checked against those of the model to continue from, and completed.
 *
 * @param from name of the model in messages
 * @param dataNames class names of the data
 * @throws INVALID_ARGUMENT with the option, its flag and the model's value, for an option that cannot be applied
 */
function adapted(
  asked: RunDescription['model'],
  from: string,
  start: StartModel,
  dataNames: readonly string[],
): Adapted {
  checkFixed(asked, from, start)
  const { configuration, classNames } = start
  const classes = integer(1, 2 ** 20)(asked.classes ?? dataNames.length, 'classes')
  // a model without names takes the classes of the data by their indices
  const sameNames = classNames.length === 0 || dataNames.every((name, index) => name === classNames[index])
  const lastLayer = configuration.classes === classes && sameNames ? 'kept' : 'new'
  if (lastLayer === 'kept' && asked.initialisation !== undefined) {
    const message = `Expected no initialisation (--initialisation) where all layers are those of the model ${from}, which has the ${classes} classes of the data, but received ${asked.initialisation}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const initialisation = lastLayer === 'new' && {
    initialisation: asked.initialisation ?? modelTable.initialisation.check.fallback,
  }
  const { dropout, headWidth, imageSize } = asked
  const ofHead = configuration.head === 'none' && { headWidth, imageSize }
  const changes: AdaptOptions = { classes, dropout, ...ofHead }
  const { preprocessing: _, origin: __, ...own } = adaptedConfiguration(configuration, changes).configuration
  return {
    model: { ...own, variant: rowName(own.variant), classes, dropout: own.dropout ?? 0, ...initialisation },
    lastLayer,
    changes,
  }
}

/**
 * The description completed by the network of the model that the run continues from, if there is one.
 *
 * @throws INVALID_ARGUMENT if the description asks for another network than that of the model; FILE_NOT_FOUND, FILE_FORMAT
 */
export async function withStartModel(
  description: RunDescription,
  { training, kind }: Sources,
): Promise<RunDescription> {
  const { model: asked, start, photographs } = description
  const { from } = start
  if (from === undefined) return description
  const found = await readStartModel(from)
  const { model, lastLayer } = adapted(asked, from, found, training.classNames)
  // the colour shift of the model's training, if any; nothing is computed again
  const fittedColour = found.configuration.preprocessing?.colour ?? false
  const colour = kind === 'files' && photographs.colour === true ? fittedColour : photographs.colour
  return { ...description, model, start: { ...start, lastLayer }, photographs: { ...photographs, colour } }
}
