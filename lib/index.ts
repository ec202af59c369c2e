// first: what comes after may use what an older Node lacks
import './platform/load/node-check.js'

export type { ClassCount, ClassReport } from './check/classes.js'
export type { MemoryReport, StepReport } from './check/cost.js'
export type { ContradictoryImages, DuplicateReport, ImageFiles, SharedImage } from './check/duplicates.js'
export type { Finding, SignalState } from './check/findings.js'
export type { ChannelFigures, InputReport, UnreadableImage } from './check/images.js'
export type { ActivationReport, GradientReport, LayerActivations, LayerGradient } from './check/layers.js'
export { preflight } from './check/preflight.js'
export type {
  FileReport,
  PreflightOptions,
  PreflightProgress,
  PreflightReport,
} from './check/preflight-report.js'
export type { SpeedReport } from './check/speed.js'
export { save } from './checkpoint/checkpoint.js'
export { type FoundCheckpoint, newestCheckpoint } from './checkpoint/checkpoint-folder.js'
export type { ImageBatch, SkippedImage } from './data/batch.js'
export {
  type CachedDataset,
  type CacheOptions,
  type CacheReport,
  cachedDataset,
  type PrepareOptions,
} from './data/cache/cache.js'
export type { Augmented, Dataset, RandomReads, ReadFailure } from './data/dataset.js'
export { paddedDataset, type Split, stratifiedSplit, subset, withClasses } from './data/derived.js'
export type { ColourShift } from './data/images/colour.js'
export { evaluationSide, type SmallestSide } from './data/images/crop.js'
export type { PhotoSource } from './data/images/decode.js'
export type { DecodingOptions, ImageFormat } from './data/images/formats.js'
export { type ImageOptions, type ImageSize, readImage, readImageSize } from './data/images/image.js'
export { type Batch, Loader, type LoaderOptions, type LoaderState } from './data/loader.js'
export type { Part } from './data/part.js'
export { type ArrayData, arrayDataset } from './data/sources/arrays.js'
export { type CifarOptions, readCifar } from './data/sources/cifar.js'
export { type FolderOptions, type FolderParts, imageFilesBelow, readFolder } from './data/sources/folder.js'
export { type IdxFiles, idxDataset } from './data/sources/idx.js'
export {
  datasetFrom,
  type EncodedOptions,
  type Labelled,
  type LabelledSource,
  type PixelOptions,
} from './data/sources/iterable.js'
export { readList } from './data/sources/list.js'
export { photoDataset } from './data/sources/photo-dataset.js'
export type { PartOptions, PhotoList, PhotoParts } from './data/sources/photo-list.js'
export type { PhotoNetwork, PhotoOptions } from './data/sources/photo-options.js'
export type { SkippedLink } from './data/sources/walk.js'
export { meanOf, type Statistics, type StatisticsOptions, statisticsOf } from './data/statistics.js'
export { type EmbedData, type Embedding, embed } from './embed/embed.js'
export { type EmbeddedFile, type EmbedToFileOptions, embedToFile } from './embed/embed-file.js'
export { type EmbedLikeOptions, embedLike, type QueryFeatures } from './embed/embed-like.js'
export type {
  Aggregate,
  FeatureColumns,
  FeatureDescription,
  Normalise,
  Pool,
  Transform,
} from './embed/feature-description.js'
export { type FeatureBlock, FeatureFile } from './embed/feature-file.js'
export { type NearestOptions, type Neighbour, nearest } from './embed/nearest.js'
export type { EmbedOptions, EmbedProgress } from './embed/options.js'
export { type ErrorCode, VggError } from './error.js'
export { type BatchedOptions, Batching, type BatchingOptions, batching } from './evaluate/batching.js'
export { type ClassifyOptions, type ClassProbability, classify, type ImageSource } from './evaluate/classify.js'
export type { ClassResult } from './evaluate/confusion.js'
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate/evaluate.js'
export type { Metrics } from './evaluate/metrics.js'
export type {
  ClassChoice,
  ExplainedClass,
  ExplainMethod,
  ExplainOptions,
  Explanation,
  GradCam,
  GradientExplanation,
  ImagesToExplain,
  Occlusion,
} from './explain/explanation.js'
export { type GradCamOptions, gradCam, guidedBackprop, saliency } from './explain/gradients.js'
export { type OcclusionOptions, occlusion } from './explain/occlusion.js'
export { type DrawOptions, drawExplanation } from './explain/overlay.js'
export { type Group, type GroupOptions, openGroup } from './group/group.js'
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
export { parameterCount } from './layer.js'
export { type LbfgsOptions, type LossAt, lbfgs, type Minimum, type Point } from './lbfgs.js'
export {
  gramError,
  gramMatrices,
  type Loss,
  type LossOptions,
  squaredError,
  totalVariation,
} from './losses/errors.js'
export { Lpips, type LpipsDistance, type LpipsOptions } from './losses/lpips.js'
export {
  type FeatureLossOptions,
  gramLoss,
  perceptualLoss,
  type Reference,
} from './losses/perceptual.js'
export type { TensorAlias } from './network/aliases.js'
export type {
  BackwardOptions,
  ForwardOptions,
  RateFactors,
  StepOptions,
  UpdateOptions,
} from './network/arguments.js'
export type { Copied, CopyOptions } from './network/copy.js'
export { type DescribeOptions, describe } from './network/describe.js'
export type { Augment } from './network/images.js'
export type { Labels } from './network/labels.js'
export { Network } from './network/network.js'
export type { Device, Initialisation, NetworkOptions, OpenedRun, RunOptions } from './network/open.js'
export type { Cotangent, TensorsByName, VjpOptions } from './network/vjp.js'
export type { Callback } from './options.js'
export type { BuildInfo, CpuTuning, GroupTraffic, QueueTime, StageTime, StepAnswer } from './platform/native.js'
export type {
  DescribedLayer,
  DescribedParameter,
  DescribedStage,
  Description,
  Precision,
} from './platform/native-description.js'
export type { TriedC } from './probe/cross-validation.js'
export type { ProbeData } from './probe/data.js'
export { type ReadFeaturesOptions, readFeatures, type StoredFeatures } from './probe/feature-data.js'
export type { Classifier } from './probe/loss.js'
export { loadProbe, type ProbeModel, probeScores, saveProbe } from './probe/model.js'
export type { ProbeOptions, ProbeProgress } from './probe/options.js'
export { type ProbeAccuracy, type ProbeResult, probe } from './probe/probe.js'
export { Random, type RandomState } from './random.js'
export { type LineOf, type LogLine, type ReadLog, readRunLog, type TrainingFacts } from './report/log-line.js'
export type { ReportData } from './report/page.js'
export { collectReport, type ReportSources, writeReport } from './report/report.js'
export { RunLog, type RunLogOptions, type RunPosition } from './report/run-log.js'
export { TensorBoardLog, type TensorBoardOptions } from './report/tensorboard.js'
export { type ArrayOf, type DType, Tensor } from './tensor.js'
export type {
  CheckpointEvent,
  EpochEvent,
  FeaturesEvent,
  FrozenProof,
  RefusedEvent,
  Skipped,
  StepEvent,
  TrainReport,
} from './train/events.js'
export type { FrozenLayers } from './train/feature-plan.js'
export { type LoadedCheckpoint, loadNetworkTraining, loadNewestTraining, loadTraining } from './train/load-training.js'
export { deviceLine, type Progress, progressOn, reportLine } from './train/log.js'
export type { CheckpointOptions, NotFiniteOption, RecordedTrainOptions } from './train/options.js'
export type { PastEpoch } from './train/past-epochs.js'
export type { Schedule, ScheduleOption } from './train/schedule.js'
export type { LayerNameOf, TrainOptions } from './train/settings.js'
export { train } from './train/trainer.js'
export type { BestEpoch, TrainingState } from './train/training-state.js'
export type { AdaptOptions, ChannelInit } from './vgg/adapted.js'
export {
  type HeadConfiguration,
  layersOf,
  type TrunkConfiguration,
  type VggConfiguration,
} from './vgg/configuration.js'
export type { LayerName, TensorName } from './vgg/layer-names.js'
export type { HeadlessOptions, ModelOptions, NoHead, TrunkOptions, VggOptions } from './vgg/options.js'
export type { Origin } from './vgg/origin.js'
export type { Preprocessing } from './vgg/preprocessing.js'
export type { BlockEntry, LetterOf, Variant, VariantLetter, VariantName, VariantRow } from './vgg/variants.js'
export { type HeadOptions, layersOfA, replaceHead, VGG } from './vgg/vgg.js'
export { type LoadOptions, load, loadNetwork } from './weights/load.js'
export type { LoadProgress } from './weights/open.js'
export type { Difference, Distance } from './weights/verify/difference.js'
export type { Activity } from './weights/verify/fingerprint.js'
export type { Moments } from './weights/verify/moments.js'
export { type ParameterFigures, type Verification, type VerifyOptions, verify } from './weights/verify/verify.js'
