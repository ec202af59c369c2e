/**
 * A training in a folder of its own: what it is made of, its log, and its report. `vggnet train` and `vggnet report` are
 * made of these.
 * @module runs
 */
export {
  collectReport,
  createRun,
  type DataDescription,
  type LineOf,
  type LogLine,
  type PlanHooks,
  type PlanName,
  type PlanStage,
  type ReadLog,
  type ReportData,
  type ReportSources,
  type RunDescription,
  type RunFile,
  RunLog,
  type RunLogOptions,
  type RunPosition,
  readRunFile,
  readRunLog,
  reportPage,
  runAll,
  stagesOf,
  TensorBoardLog,
  type TensorBoardOptions,
  type TrainingFacts,
  writeReport,
} from '../../lib/index.js'
