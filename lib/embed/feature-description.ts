import { textLimits } from '../checkpoint/safetensors.js'
import { messageOf, VggError } from '../error.js'
import { arrayOf, boolean, type Check, integer, objectOf, oneOf, text, unexpected } from '../options.js'
import { parsedJson } from '../untrusted.js'

/** How the values of a channel at all positions of an image become one number. */
export type Pool = 'mean' | 'max'
/** Change of each pooled value x: none, or log(1 + x). */
export type Transform = 'none' | 'log1p'
/** What becomes of the features of several scales: their mean, or a row for each. */
export type Aggregate = 'mean' | 'stack'
/** What a row of features is divided by: its Euclidean length, or nothing. */
export type Normalise = 'l2' | 'none'

export const poolNames = ['mean', 'max'] as const satisfies readonly Pool[]
export const transformNames = ['none', 'log1p'] as const satisfies readonly Transform[]
export const aggregateNames = ['mean', 'stack'] as const satisfies readonly Aggregate[]
export const normaliseNames = ['l2', 'none'] as const satisfies readonly Normalise[]

/** A run of columns of a row of features: one layer, pooled in one way. */
export interface FeatureColumns {
  /** Name of the tensor, as `features` returns it. */
  readonly layer: string
  /** How its positions were pooled; 'none' where it has one value for each channel. */
  readonly pool: Pool | 'none'
  /** First column. */
  readonly start: number
  /** Number of columns, the channels of the tensor. */
  readonly length: number
}

/** What a file of features says of them: how they were computed, and what their columns are. */
export interface FeatureDescription {
  /** Version of the description. */
  readonly version: 1
  /** Names of the classes that the labels count. */
  readonly classNames: readonly string[]
  /** The network. */
  readonly model: {
    /** Where it was loaded from; null if that is not known. */
    readonly path: string | null
    /** SHA-256 of its layers up to the last one named and of their parameters, in hex. */
    readonly sha256: string
  }
  /** Runs of columns in order, without gaps. */
  readonly columns: readonly FeatureColumns[]
  /** The layers, as they were asked for. */
  readonly layers: readonly string[]
  /** The ways of pooling, as they were asked for. */
  readonly pool: readonly Pool[]
  /** Change of the pooled values. */
  readonly transform: Transform
  /** Smaller sides of the images in pixels; null for crops of one size. */
  readonly scales: readonly number[] | null
  /** What became of several scales. */
  readonly aggregate: Aggregate
  /** Whether the features are means of those of the image and of the mirrored image. */
  readonly flip: boolean
  /** What the rows were divided by. */
  readonly normalise: Normalise
  /** How image files became pixels. */
  readonly pixels: {
    /** Channels of the images. */
    readonly channels: number
    /** Height and width of the crop; null for whole images. */
    readonly crop: readonly number[] | null
    /** Smaller side before the crop; null for whole images, and where it is not known. */
    readonly smallestSide: number | null
  }
}

const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value, name) =>
    value === null ? null : check(value, name)

const version: Check<1> = (value, name) => {
  if (value === 1) return value
  throw unexpected('1', name, value, 'a newer vggnet wrote the file: update vggnet')
}

const anyText: Check<string> = (value, name) => {
  if (typeof value === 'string') return value
  throw unexpected('a string', name, value)
}

const sha256: Check<string> = (value, name) => {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value
  throw unexpected('64 hexadecimal digits', name, value)
}

const side = integer(1, 65535)

const descriptionCheck: Check<FeatureDescription> = objectOf({
  version,
  classNames: arrayOf(anyText),
  model: objectOf({ path: nullable(text), sha256 }),
  columns: arrayOf(objectOf({ layer: text, pool: oneOf(...poolNames, 'none'), start: integer(0), length: integer(1) })),
  layers: arrayOf(text),
  pool: arrayOf(oneOf(...poolNames)),
  transform: oneOf(...transformNames),
  scales: nullable(arrayOf(side)),
  aggregate: oneOf(...aggregateNames),
  flip: boolean,
  normalise: oneOf(...normaliseNames),
  pixels: objectOf({ channels: integer(1), crop: nullable(arrayOf(side)), smallestSide: nullable(side) }),
})

/** Key of the description in the metadata of a file. */
export const descriptionKey = 'vggnet_features'

/** Length D of a row of features, for one scale if scales are stacked. */
export const dimensionOf = ({ columns }: Pick<FeatureDescription, 'columns'>): number =>
  columns.reduce((sum, { length }) => sum + length, 0)

/** Number S of rows that an image has: one for each scale if scales are stacked; undefined for a single row without that axis. */
export const stackedScales = ({
  aggregate,
  scales,
}: Pick<FeatureDescription, 'aggregate' | 'scales'>): number | undefined =>
  aggregate === 'stack' ? (scales?.length ?? 1) : undefined

/** Parses the description in the metadata of a file. @throws FILE_FORMAT */
export function parsedDescription(json: string | undefined): FeatureDescription {
  if (json === undefined) {
    const message = `Expected a file of features, with ${descriptionKey} in its metadata: 'vggnet embed' writes such files`
    throw new VggError('FILE_FORMAT', message)
  }
  try {
    const description = descriptionCheck(parsedJson(json, textLimits), descriptionKey)
    let next = 0
    for (const { start, length, layer } of description.columns) {
      if (start !== next) throw unexpected(`${next}`, `the start of the columns of ${layer}`, start)
      next += length
    }
    return description
  } catch (cause) {
    const message = `The description of the features is not valid: ${messageOf(cause)}`
    throw new VggError('FILE_FORMAT', message, { cause })
  }
}
