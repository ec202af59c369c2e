/**
 * How often a network is right.
 * @module evaluation
 */
export { type ClassResult, type EvaluateOptions, type Evaluation, evaluate, type Metrics } from '../../lib/index.js'
