/**
 * Accuracy, confusion matrix and per-class results of a network.
 * @module evaluation
 */
export { type ClassResult, type EvaluateOptions, type Evaluation, evaluate, type Metrics } from '../../lib/index.js'
