/**
 * Saving and loading models and trainings.
 * @module checkpoints
 */
export {
  type Activity,
  type BestEpoch,
  type Difference,
  type Distance,
  type FoundCheckpoint,
  type LoadedCheckpoint,
  load,
  loadNetwork,
  loadNetworkTraining,
  loadNewestTraining,
  loadTraining,
  type Moments,
  newestCheckpoint,
  type ParameterFigures,
  type PastEpoch,
  save,
  type TrainingState,
  type Verification,
  type VerifyOptions,
  verify,
} from '../../lib/index.js'
