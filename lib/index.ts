// first: what comes after may use what an older Node lacks
import './platform/load/node-check.js'

export type { ActivationReport, LayerActivations } from './check/activations.js'
export type { ClassCount, ClassReport } from './check/classes.js'
export type { ContradictoryImages, DuplicateReport, SharedImage } from './check/duplicates.js'
export type { ImageFiles } from './check/file-contents.js'
export type { GradientReport, LayerGradient } from './check/gradients.js'
export type { ChannelFigures, InputReport } from './check/input.js'
export { preflightLines } from './check/lines.js'
export type { MemoryReport } from './check/memory.js'
export { preflight } from './check/preflight.js'
export type { FileReport, PreflightOptions, PreflightProgress, PreflightReport } from './check/preflight-report.js'
export type { UnreadableImage } from './check/readable.js'
export type { SpeedReport } from './check/speed.js'
export type { Finding, Verdict } from './check/verdict.js'
export { load, loadNetwork, save } from './checkpoint/checkpoint.js'
export { type FoundCheckpoint, newestCheckpoint } from './checkpoint/checkpoint-folder.js'
export type { ImageBatch, SkippedImage } from './data/batch.js'
export {
  type CachedDataset,
  type CacheOptions,
  type CacheReport,
  cachedDataset,
  type PrepareOptions,
} from './data/cache/cache.js'
export type { Augmented, Dataset, ReadFailure } from './data/dataset.js'
export { paddedDataset, type Split, stratifiedSplit, subset, withClasses } from './data/derived.js'
export { type ColourShift, colourShiftOf } from './data/images/colour.js'
export type { SmallestSide } from './data/images/crop.js'
export type { PhotoSource } from './data/images/decode.js'
export type { DecodingOptions, ImageFormat } from './data/images/formats.js'
export { type ImageOptions, type ImageSize, readImage, readImageSize } from './data/images/image.js'
export { type Batch, Loader, type LoaderOptions, type LoaderState } from './data/loader.js'
export { type ArrayData, arrayDataset } from './data/sources/arrays.js'
export { type CifarOptions, type CifarParts, readCifar, readCifarFolder } from './data/sources/cifar.js'
export { type FolderParts, readFolder } from './data/sources/folder.js'
export { type IdxFiles, idxDataset } from './data/sources/idx.js'
export {
  datasetFrom,
  type EncodedOptions,
  type Labelled,
  type LabelledSource,
  type PixelOptions,
} from './data/sources/iterable.js'
export { readList } from './data/sources/list.js'
export { type PhotoOptions, photoDataset } from './data/sources/photo-dataset.js'
export type { PartOptions, PhotoList, PhotoParts } from './data/sources/photo-list.js'
export type { SkippedLink } from './data/sources/walk.js'
export { meanOf, type Statistics, type StatisticsOptions, statisticsOf } from './data/statistics.js'
export { type ErrorCode, VggError } from './error.js'
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate/evaluate.js'
export type { ClassResult, Metrics } from './evaluate/metrics.js'
export type {
  ConvolutionLayer,
  InputLayer,
  Layer,
  LinearLayer,
  LocalNormLayer,
  MaxPoolLayer,
  Parameter,
  SpatialMeanLayer,
} from './layer.js'
export { parameterCount, parametersOf } from './layer.js'
export type {
  Augment,
  BackwardOptions,
  ForwardOptions,
  Labels,
  StepOptions,
  UpdateOptions,
} from './network/arguments.js'
export type { Copied, CopyOptions } from './network/copy.js'
export { type DescribeOptions, describe } from './network/describe.js'
export { Network } from './network/network.js'
export type { NetworkOptions } from './network/network-parts.js'
export type { Device, Initialisation, RunOptions } from './network/open.js'
export type { OpenedRun } from './network/opened-run.js'
export type { BuildInfo, CpuTuning } from './platform/native.js'
export type {
  DescribedLayer,
  DescribedParameter,
  DescribedStage,
  Description,
  Precision,
} from './platform/native-description.js'
export { Random, type RandomState } from './random.js'
export { type LineOf, type LogLine, type ReadLog, readRunLog, type TrainingFacts } from './report/log-line.js'
export { type ReportData, reportPage } from './report/page.js'
export { collectReport, type ReportSources, writeReport } from './report/report.js'
export { RunLog, type RunLogOptions, type RunPosition } from './report/run-log.js'
export { TensorBoardLog, type TensorBoardOptions } from './report/tensorboard.js'
export { createRun } from './run/create-run.js'
export type { DataDescription, RunDescription } from './run/description.js'
export { type RunFile, readRunFile } from './run/folder.js'
export { type PlanName, type PlanStage, stagesOf } from './run/plan.js'
export { type PlanHooks, runAll } from './run/plan-run.js'
export { type ArrayOf, type DType, Tensor } from './tensor.js'
export type { CheckpointOptions } from './train/checkpoint-options.js'
export type {
  CheckpointEvent,
  EpochEvent,
  FrozenProof,
  RefusedEvent,
  Skipped,
  StepEvent,
  TrainReport,
} from './train/events.js'
export { loadNetworkTraining, loadTraining } from './train/load-training.js'
export { deviceLine, epochLine, reportLine } from './train/log.js'
export type { NotFiniteOption } from './train/not-finite.js'
export { type Progress, progressOn } from './train/progress.js'
export type { Schedule, ScheduleOption } from './train/schedule.js'
export type { TrainOptions } from './train/settings.js'
export { train } from './train/trainer.js'
export type { BestEpoch, PastEpoch, TrainingState } from './train/training-state.js'
export { type HeadOptions, replaceHead } from './vgg/head.js'
export type { VggConfiguration } from './vgg/layers.js'
export type { Preprocessing } from './vgg/preprocessing.js'
export type { BlockEntry, Variant, VariantLetter, VariantRow } from './vgg/variants.js'
export { layersOf, layersOfA, type ModelOptions, VGG, type VggOptions } from './vgg/vgg.js'
