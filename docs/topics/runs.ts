/**
 * The log and the report of a training, as the commands `vggnet train` and `vggnet report` write them.
 * @module runs
 */
export {
  collectReport,
  type LineOf,
  type LogLine,
  type ReadLog,
  type ReportData,
  type ReportSources,
  RunLog,
  type RunLogOptions,
  type RunPosition,
  readRunLog,
  TensorBoardLog,
  type TensorBoardOptions,
  type TrainingFacts,
  writeReport,
} from '../../lib/index.js'
