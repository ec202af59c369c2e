import type { Command } from 'commander'
import { preflightLines } from '../../check/preflight-report.js'
import { VggError } from '../../error.js'
import { packageVersion } from '../../platform/package.js'
import { createRun } from '../../run/create-run.js'
import { checkNew, freeFolder, type RunFile, readRunFile, runFiles } from '../../run/folder.js'
import { runAll, trainingsOf } from '../../run/plan-run.js'
import { addConfigFlag } from '../flags/config.js'
import { descriptionOf } from '../flags/description.js'
import { file as absolute } from '../flags/flags.js'
import { addTrainFlags, type TrainFlags } from '../flags/train-flags.js'
import { stoppable } from '../terminal/exit.js'
import { commandText, runOutput } from '../terminal/train-output.js'
import { examined, type Prepared, prepared } from './check.js'

/** `vggnet train`: images in, a folder with the run and its model out. */
export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('train a network on image files, or on IDX or CIFAR files')
    .argument('[data]', 'a folder with a sub-folder for each class, or a CSV or TSV of path and label', absolute)
  addConfigFlag(addTrainFlags(command)).action(runTrain)
}

async function runTrain(data: string | undefined, flags: TrainFlags, asked: Command): Promise<void> {
  if (flags.resume !== undefined) checkAlone(data, asked)
  const { folder, file, sources } = flags.resume === undefined ? await newRun(data, flags) : await oldRun(flags.resume)
  const output = runOutput(folder, flags.json === true)
  const { differences } = flags
  const command = commandText(process.argv.slice(2))
  const trained = async (signal: AbortSignal): Promise<void> => {
    try {
      const report = await runAll(folder, file, { ...output.hooks, differences, signal, command }, sources)
      output.end(report, runFiles(folder).model)
    } catch (error) {
      output.pause()
      throw error
    }
  }
  await stoppable(trained, `go on with:\n  ${commandText(['train', '--resume', folder])}`, () => {
    output.pause()
    console.error('Stopping after the steps under way; again to leave at once ...')
  })
}

const besideResume = ['resume', 'differences', 'json']

/** A run goes on as it was begun, or it would not end with the same bytes. */
function checkAlone(data: string | undefined, command: Command): void {
  const names = command.options.map((option) => option.attributeName())
  const others = names.filter((name) => command.getOptionValueSource(name) === 'cli' && !besideResume.includes(name))
  const [other] = data === undefined ? others : [`'${data}'`]
  if (other === undefined) return
  const message = `Expected --resume alone, or with --json, but received ${other} too; --from begins a new run from a model`
  throw new VggError('INVALID_ARGUMENT', message)
}

interface Run {
  readonly folder: string
  readonly file: RunFile
  /** Its images, where they were looked for. */
  readonly sources?: Prepared['sources']
}

async function newRun(data: string | undefined, flags: TrainFlags): Promise<Run> {
  const folder = flags.out ?? (await freeFolder())
  await checkNew(folder)
  checkPlan(flags)
  const { description, sources } = await prepared(descriptionOf(data, flags))
  const file: RunFile = { format: 1, vggnet: packageVersion(), plan: flags.plan, description }
  const [first] = trainingsOf(folder, file)
  if (flags.check && first) await lookBefore({ description: first.description, sources }, flags.json === true)
  return { folder, file: await createRun(folder, file, sources), sources }
}

/** A plan sets what the paper sets; another value beside it would have no effect. */
function checkPlan({ plan, initialisation, smallestSide }: TrainFlags): void {
  if (plan === undefined) return
  const ofPlan = {
    '--initialisation': initialisation,
    ...(plan === 'paper-transplant' && { '--smallest-side': smallestSide }),
  }
  const [flag] = Object.entries(ofPlan).find(([, value]) => value !== undefined) ?? []
  if (flag === undefined) return
  throw new VggError('INVALID_ARGUMENT', `Expected no ${flag} with --plan ${plan}, which sets it`)
}

async function oldRun(folder: string): Promise<Run> {
  return { folder, file: await readRunFile(folder) }
}

/** Images opened beforehand: `vggnet check` opens more. */
const opened = 200

async function lookBefore(asked: Prepared, quiet: boolean): Promise<void> {
  const report = await examined(asked, opened)
  if (!quiet) console.log(`${preflightLines(report).join('\n')}\n`)
  const [fatal] = report.fatal
  if (fatal === undefined) return
  throw new VggError('INVALID_ARGUMENT', `${fatal} (--no-check trains all the same)`)
}
