export { load, loadNetwork, save } from './checkpoint/checkpoint.js'
export { type ErrorCode, VggError } from './error.js'
export type { BuildInfo, Description } from './native.js'
export type {
  Augment,
  BackwardOptions,
  ForwardOptions,
  Labels,
  StepOptions,
  UpdateOptions,
} from './network/arguments.js'
export type { Copied } from './network/copy.js'
export { type DescribeOptions, describe } from './network/describe.js'
export type {
  ConvolutionLayer,
  InputLayer,
  Layer,
  LinearLayer,
  LocalNormLayer,
  MaxPoolLayer,
  Parameter,
  SpatialMeanLayer,
} from './network/layer.js'
export { parameterCount, parametersOf } from './network/layer.js'
export { Network, type NetworkOptions } from './network/network.js'
export type { Device, Initialisation, RunOptions } from './network/open.js'
export { Random, type RandomState } from './random.js'
export { type ArrayOf, type DType, Tensor } from './tensor.js'
export type { VggConfiguration } from './vgg/layers.js'
export type { BlockEntry, Variant, VariantLetter, VariantRow } from './vgg/variants.js'
export { layersOf, type ModelOptions, VGG, type VggOptions } from './vgg/vgg.js'
