import {
  arrayOf,
  type Check,
  integer,
  isObject,
  objectOf,
  optional,
  text,
  unexpected,
  unknownName,
} from '../options.js'

/** A layer of a block: a convolution, given by the side of its kernel, or a local response normalisation. */
export type BlockEntry = 1 | 3 | 'LRN'

/** A row of Table 1: the layers of each block. A max-pool follows each block, and three linear layers follow the last. */
export interface Variant {
  /** Letter of the configuration in the paper, or name of a custom row. */
  readonly name: string
  /** Output channels of the convolutions, one number for each block. */
  readonly channels: readonly number[]
  /** The layers of each block, in order. */
  readonly blocks: readonly (readonly BlockEntry[])[]
}

/** A custom row of Table 1. */
export interface VariantRow {
  /** Name of the configuration. Default 'custom'. */
  readonly name?: string | undefined
  /** Output channels of the convolutions, one number for each block. Default for five blocks: 64, 128, 256, 512, 512. */
  readonly channels?: readonly number[] | undefined
  /** The layers of each block, in order: A is [[3], [3], [3, 3], [3, 3], [3, 3]]. */
  readonly blocks: readonly (readonly BlockEntry[])[]
}

/** Letter of one of the paper's six configurations. */
export type VariantLetter = 'A' | 'A-LRN' | 'B' | 'C' | 'D' | 'E'

const paperChannels = [64, 128, 256, 512, 512] as const

const row = (name: VariantLetter, blocks: Variant['blocks']): Variant => ({ name, channels: paperChannels, blocks })

/** Table 1 of the paper (Sect. 2.2). */
// biome-ignore format: a table
export const variants: Readonly<Record<VariantLetter, Variant>> = {
  A:       row('A',     [[3],        [3],    [3, 3],       [3, 3],       [3, 3]]),
  'A-LRN': row('A-LRN', [[3, 'LRN'], [3],    [3, 3],       [3, 3],       [3, 3]]),
  B:       row('B',     [[3, 3],     [3, 3], [3, 3],       [3, 3],       [3, 3]]),
  C:       row('C',     [[3, 3],     [3, 3], [3, 3, 1],    [3, 3, 1],    [3, 3, 1]]),
  D:       row('D',     [[3, 3],     [3, 3], [3, 3, 3],    [3, 3, 3],    [3, 3, 3]]),
  E:       row('E',     [[3, 3],     [3, 3], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]]),
}

/** Other names of the six configurations. Case, hyphens, spaces, underscores and brackets are ignored. */
const names = {
  A: ['VGG11'],
  'A-LRN': ['VGG11-LRN'],
  B: ['VGG13'],
  C: ['VGG16-1', 'VGG-16 (Conv1)'],
  D: ['VGG16'],
  E: ['VGG19'],
} as const satisfies Record<VariantLetter, readonly string[]>

/** Letter or other name of one of the six configurations. */
export type VariantName = VariantLetter | (typeof names)[VariantLetter][number]

/** The letter of a configuration given by its letter or another name; any string for a custom row. */
export type LetterOf<Given extends VariantName | VariantRow> = Given extends VariantLetter
  ? Given
  : Given extends VariantRow
    ? string
    : { [Letter in VariantLetter]: Given extends (typeof names)[Letter][number] ? Letter : never }[VariantLetter]

const letters = Object.keys(variants) as VariantLetter[]
const allNames = letters.flatMap((letter) => [letter, ...names[letter]])
const plain = (name: string): string => name.toLowerCase().replaceAll(/[-\s_()]/g, '')

/** The letter of a configuration given by its letter or another name. @throws INVALID_ARGUMENT for this option */
export function variantLetter(name: string, option = 'variant'): VariantLetter {
  const letter = letters.find((known) => [known, ...names[known]].some((other) => plain(other) === plain(name)))
  if (letter === undefined) throw unknownName(name, option, allNames)
  return letter
}

const entry: Check<BlockEntry> = (value, name) => {
  if (value === 1 || value === 3 || value === 'LRN') return value
  throw unexpected("1, 3 or 'LRN'", name, value)
}

const block: Check<BlockEntry[]> = (value, name) => {
  const entries = arrayOf(entry)(value, name)
  if (entries.length === 0 || entries[0] === 'LRN') throw unexpected('a convolution (1 or 3) first', name, value)
  if (entries.indexOf('LRN') !== entries.lastIndexOf('LRN')) throw unexpected("at most one 'LRN'", name, value)
  return entries
}

function checkedRow(given: unknown, option: string): Variant {
  const checks = {
    name: optional(text),
    channels: optional(arrayOf(integer(1, 2 ** 20))),
    blocks: arrayOf(block),
  }
  const { name = 'custom', channels = paperChannels, blocks } = objectOf(checks)(given, option)
  if (blocks.length === 0) throw unexpected('at least one block', `${option}.blocks`, blocks)
  if (channels.length === blocks.length) return { name, channels, blocks }
  throw unexpected(`${blocks.length} numbers, one for each block`, `${option}.channels`, channels)
}

/** Check of `variant`: the letter or another name of a row of Table 1, or a custom row. */
export const variant: Check<Variant> = (value, name) => {
  if (isObject(value)) return checkedRow(value, name)
  if (typeof value !== 'string')
    throw unexpected("the name of a variant, such as 'A' or 'VGG16', or a row of blocks", name, value)
  return variants[variantLetter(value, name)]
}
