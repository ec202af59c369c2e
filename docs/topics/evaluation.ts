/**
 * Classification of images, batches of concurrent requests; accuracy, confusion matrix and per-class results of a network;
 * explanations of its scores.
 * @module evaluation
 */
export {
  type BatchedOptions,
  Batching,
  type BatchingOptions,
  batching,
  type ClassChoice,
  type ClassifyOptions,
  type ClassProbability,
  type ClassResult,
  classify,
  type DrawOptions,
  drawExplanation,
  type EvaluateOptions,
  type Evaluation,
  type ExplainedClass,
  type ExplainMethod,
  type ExplainOptions,
  type Explanation,
  evaluate,
  type GradCam,
  type GradCamOptions,
  type GradientExplanation,
  gradCam,
  guidedBackprop,
  type ImageSource,
  type ImagesToExplain,
  type Metrics,
  type Occlusion,
  type OcclusionOptions,
  occlusion,
  saliency,
} from '../../lib/index.js'
