/**
 * Classification of images; accuracy, confusion matrix and per-class results of a network.
 * @module evaluation
 */
export {
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
