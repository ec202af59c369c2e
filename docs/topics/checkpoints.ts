/**
 * Saving and loading models and trainings.
 * @module checkpoints
 */
export {
  type Activity,
  type AdaptOptions,
  type BestEpoch,
  type ChannelInit,
  type Difference,
  type Distance,
  type FoundCheckpoint,
  type LoadedCheckpoint,
  type LoadOptions,
  type LoadProgress,
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
