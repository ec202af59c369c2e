export { load, loadNetwork, save } from './checkpoint/checkpoint.js'
export { type ArrayData, arrayDataset } from './data/arrays.js'
export type { Dataset } from './data/dataset.js'
export { type IdxFiles, idxDataset } from './data/idx.js'
export { type ImageSize, readImage } from './data/image.js'
export { type Batch, Loader, type LoaderOptions, type LoaderState } from './data/loader.js'
export { meanOf } from './data/mean.js'
export { paddedDataset } from './data/padded.js'
export { type Split, stratifiedSplit, subset } from './data/split.js'
export { type ErrorCode, VggError } from './error.js'
export { type EvaluateOptions, evaluate } from './evaluate/evaluate.js'
export type { ClassResult, Metrics } from './evaluate/metrics.js'
export type { BuildInfo, Description, Precision } from './native.js'
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
export type { EpochEvent, StepEvent, TrainReport } from './train/events.js'
export { deviceLine, epochLine, reportLine } from './train/log.js'
export { type Progress, progressOn } from './train/progress.js'
export type { Schedule, ScheduleOption } from './train/schedule.js'
export type { TrainOptions } from './train/settings.js'
export { train } from './train/trainer.js'
export type { VggConfiguration } from './vgg/layers.js'
export type { BlockEntry, Variant, VariantLetter, VariantRow } from './vgg/variants.js'
export { layersOf, type ModelOptions, VGG, type VggOptions } from './vgg/vgg.js'
