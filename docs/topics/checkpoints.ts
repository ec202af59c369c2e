/**
 * Saving and loading models and trainings.
 * @module checkpoints
 */
export {
  type BestEpoch,
  type FoundCheckpoint,
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
