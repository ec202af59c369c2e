import type { VariantLetter } from './variants.js'

/** Index of each convolution: block and position in the block. Each configuration adds some to an earlier one, as in Table 1. */
interface ConvolutionIndex {
  A: '1_1' | '2_1' | '3_1' | '3_2' | '4_1' | '4_2' | '5_1' | '5_2'
  'A-LRN': ConvolutionIndex['A']
  B: ConvolutionIndex['A'] | '1_2' | '2_2'
  C: ConvolutionIndex['B'] | '3_3' | '4_3' | '5_3'
  D: ConvolutionIndex['C']
  E: ConvolutionIndex['D'] | '3_4' | '4_4' | '5_4'
}

/** The convolutions that all these configurations have. */
type Index<Letter extends VariantLetter> = string &
  keyof { [One in Letter]: Record<ConvolutionIndex[One], true> }[Letter]

type Convolution<Letter extends VariantLetter> = `conv${Index<Letter>}`
type Relu<Letter extends VariantLetter> = `relu${Index<Letter>}`
type Block = 1 | 2 | 3 | 4 | 5
type Linear = 'fc6' | 'fc7' | 'fc8'

/** Any other name: those of a network whose configuration is not known are suggested, not required. */
type Other = string & {}

type TensorOf<Letter extends VariantLetter> =
  | Convolution<Letter>
  | Relu<Letter>
  | ([Letter] extends ['A-LRN'] ? 'norm1' : never)
  | `pool${Block}`
  | Linear
  | 'relu6'
  | 'relu7'

type LayerOf<Letter extends VariantLetter> = Convolution<Letter> | Linear | `conv${Block}` | 'convolutions' | 'head'

/**
 * Names of the tensors of a configuration, which `features` and `vjp` accept: 'conv1_1', 'relu1_1', 'pool1', ..., 'fc8',
 * besides `TensorAlias`. Of 'A' | 'D' the names that both have. Any string for a configuration that is not known.
 */
export type TensorName<Letter extends string = string> = [Letter] extends [VariantLetter]
  ? TensorOf<Letter>
  : { [One in VariantLetter]: TensorOf<One> }[VariantLetter] | Other

/**
 * Names of the layers of a configuration that have parameters, and of groups of them, which `freeze` and `rateFactors`
 * accept: 'conv1_1', ..., 'fc8', blocks ('conv1'), 'convolutions', 'head'. Of 'A' | 'D' the names that both
 * have. Any string for a configuration that is not known.
 */
export type LayerName<Letter extends string = string> = [Letter] extends [VariantLetter]
  ? LayerOf<Letter>
  : { [One in VariantLetter]: LayerOf<One> }[VariantLetter] | Other
