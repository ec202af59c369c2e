/**
 * Saving and loading models and trainings.
 * @module checkpoints
 */
export {
  type AdaptOptions,
  type BestEpoch,
  type ChannelInit,
  type FoundCheckpoint,
  type LoadedCheckpoint,
  type LoadOptions,
  type LoadProgress,
  load,
  loadNetwork,
  loadNetworkTraining,
  loadNewestTraining,
  loadTraining,
  newestCheckpoint,
  type PastEpoch,
  save,
  type TrainingState,
} from '../../lib/index.js'
