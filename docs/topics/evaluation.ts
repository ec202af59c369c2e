/**
 * Classification of images, batches of concurrent requests; accuracy, confusion matrix and per-class results of a network.
 * @module evaluation
 */
export {
  type BatchedOptions,
  Batching,
  type BatchingOptions,
  batching,
  type ClassifyOptions,
  type ClassProbability,
  type ClassResult,
  classify,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type ImageSource,
  type Metrics,
} from '../../lib/index.js'
