import { type OpenFile, withFile } from '../checkpoint/open-file.js'
import { VggError } from '../error.js'
import { fraction, integer } from '../options.js'
import { configurationFrom, type VggConfiguration } from '../vgg/configuration.js'
import { type VariantLetter, variant, variants } from '../vgg/variants.js'
import type { RunDescription } from './description.js'
import { useModel } from './folder.js'
import type { Sources } from './sources.js'

/** What a run needs to know of the model that it goes on from, besides its weights. */
export interface StartModel {
  readonly configuration: VggConfiguration
  /** Empty where the model has no names. */
  readonly classNames: readonly string[]
}

/** Of the model in a file or in the folder of a run; reads no weights. @throws FILE_NOT_FOUND, FILE_FORMAT */
export async function readStartModel(from: string): Promise<StartModel> {
  const read = async ({ model }: OpenFile): Promise<StartModel> => {
    if (model.kind !== 'VGG')
      throw new VggError('FILE_FORMAT', 'Expected a VGG net but found a network of other layers')
    const { kind, classNames = [], ...options } = model
    return { configuration: configurationFrom(options), classNames }
  }
  return useModel(from, (file) => withFile(file, read))
}

/** What belongs to the weights of a model, so that no other value can be had with them; and the flags that set it. */
const fixed = {
  variant: '--variant',
  channels: '--channels',
  imageSize: '--image-size',
  width: '--width',
  headWidth: '--head-width',
  localNorm: '--local-norm',
  meanRgb: '--mean',
  scale: '--scale',
} as const satisfies Partial<Record<keyof RunDescription['model'], string>>

const valueText = (value: unknown, name: string): string =>
  Array.isArray(value) ? value.join(name === 'imageSize' ? 'x' : ', ') : String(value)

function checkFixed(asked: RunDescription['model'], from: string, { configuration }: StartModel): void {
  const own = { ...configuration, variant: configuration.variant.name }
  for (const [name, flag] of Object.entries(fixed) as [keyof typeof fixed, string][]) {
    const value = name === 'variant' && asked.variant !== undefined ? variant(asked.variant, name) : asked[name]
    if (value === undefined || JSON.stringify(value) === JSON.stringify(configuration[name])) continue
    const received = typeof value === 'object' && 'name' in value ? value.name : value
    const message = `Expected no other ${name} (${flag}) than that of the model ${from}, ${valueText(own[name], name)}, but received ${valueText(received, name)}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
}

/** A letter of Table 1 where the row is one of these. */
function rowName(row: VggConfiguration['variant']): VariantLetter | VggConfiguration['variant'] {
  const letters = Object.keys(variants) as VariantLetter[]
  return letters.find((letter) => JSON.stringify(variants[letter]) === JSON.stringify(row)) ?? row
}

/** The network that is trained where a run goes on from a model. */
export interface Adapted {
  /** Complete: the values of the model, and of what was asked where it can be applied. */
  readonly model: RunDescription['model'] & { readonly classes: number; readonly dropout: number }
  /** Kept where its classes are those of the data. */
  readonly lastLayer: 'kept' | 'new'
}

/**
 * What was asked of the network, checked against the model that it is to be, and completed. Pure.
 *
 * @param from what the model is called in messages
 * @param dataNames the classes of the data
 * @throws INVALID_ARGUMENT, naming option, flag and what the model has, where something is asked that cannot be applied
 */
export function adapted(
  asked: RunDescription['model'],
  from: string,
  start: StartModel,
  dataNames: readonly string[],
): Adapted {
  checkFixed(asked, from, start)
  const { configuration, classNames } = start
  const { preprocessing: _, ...own } = configuration
  const classes = integer(1, 2 ** 20)(asked.classes ?? dataNames.length, 'classes')
  const dropout = fraction(asked.dropout ?? configuration.dropout, 'dropout')
  // a model without names learns the classes of the data by their numbers
  const sameNames = classNames.length === 0 || dataNames.every((name, index) => name === classNames[index])
  const lastLayer = configuration.classes === classes && sameNames ? 'kept' : 'new'
  if (lastLayer === 'kept' && asked.initialisation !== undefined) {
    const message = `Expected no initialisation (--initialisation) where all layers are those of the model ${from}, which has the ${classes} classes of the data, but received ${asked.initialisation}`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const initialisation = lastLayer === 'new' && { initialisation: asked.initialisation ?? 'glorot' }
  return { model: { ...own, variant: rowName(own.variant), classes, dropout, ...initialisation }, lastLayer }
}

/**
 * The same description with the network filled in that is trained, where it comes from a model; else as it is.
 *
 * @throws INVALID_ARGUMENT where the description asks for another network than the model is, FILE_NOT_FOUND, FILE_FORMAT
 */
export async function withStartModel(
  description: RunDescription,
  { training, kind }: Sources,
): Promise<RunDescription> {
  const { model: asked, start, photographs } = description
  const { from, transplant } = start
  if (from === undefined) return description
  if (transplant !== undefined) {
    const message = `Expected from (--from) or transplant (--transplant), of which one decides the weights, but received both`
    throw new VggError('INVALID_ARGUMENT', message)
  }
  const found = await readStartModel(from)
  const { model, lastLayer } = adapted(asked, from, found, training.classNames)
  // the shift that the model was trained with, where it was; nothing is fitted anew
  const fittedColour = found.configuration.preprocessing?.colour ?? false
  const colour = kind === 'files' && photographs.colour === true ? fittedColour : photographs.colour
  return { ...description, model, start: { ...start, lastLayer }, photographs: { ...photographs, colour } }
}
