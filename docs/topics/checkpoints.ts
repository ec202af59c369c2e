/**
 * Saving and loading models and trainings.
 * @module checkpoints
 */
export {
  type BestEpoch,
  type FoundCheckpoint,
  type LoadedCheckpoint,
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
