/**
 * Linear classifiers of features, and the optimiser that fits them.
 * @module probes
 */
export {
  type Classifier,
  type LbfgsOptions,
  type LossAt,
  lbfgs,
  loadProbe,
  type Minimum,
  type Point,
  type ProbeAccuracy,
  type ProbeData,
  type ProbeModel,
  type ProbeOptions,
  type ProbeProgress,
  type ProbeResult,
  probe,
  probeScores,
  type ReadFeaturesOptions,
  readFeatures,
  type StoredFeatures,
  saveProbe,
  type TriedC,
} from '../../lib/index.js'
