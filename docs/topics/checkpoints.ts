/**
 * Models and trainings as files.
 * @module checkpoints
 */
export {
  type BestEpoch,
  type FoundCheckpoint,
  load,
  loadNetwork,
  loadNetworkTraining,
  loadTraining,
  newestCheckpoint,
  type PastEpoch,
  save,
  type TrainingState,
} from '../../lib/index.js'
