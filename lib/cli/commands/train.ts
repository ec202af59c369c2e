import type { Command } from 'commander'
import { VggError } from '../../error.js'
import { type Group, openGroup } from '../../group/group.js'
import { commandText, packageVersion, shellText } from '../../platform/package.js'
import { checkOptions } from '../../run/checks.js'
import { type RunFile, readRunFile, runFiles, trainingsOf } from '../../run/folder.js'
import { checkNew, freeFolder, removeUnstarted } from '../../run/new-folder.js'
import { createRun, joinRun, runAll } from '../../run/run.js'
import type { StepEvent } from '../../train/events.js'
import { callTable } from '../../train/settings.js'
import { addConfigFlag } from '../flags/config.js'
import { file as absolute } from '../flags/flags.js'
import { addTrainFlags, descriptionOf, type TrainFlags } from '../flags/train-flags.js'
import { stoppable } from '../terminal/exit.js'
import { inGroup } from '../terminal/group.js'
import { checkLines, type PreparedRun, preflightRun, prepareRun, refuseFatal } from '../terminal/preflight.js'
import { print } from '../terminal/print.js'
import { runOutput } from '../terminal/train-output.js'

/** `vggnet train`: trains a network and writes the folder of the run. */
export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('train a network on image files, or on IDX or CIFAR files')
    .argument('[data]', 'a folder with a sub-folder for each class, or a CSV or TSV of path and label', absolute)
  addConfigFlag(addTrainFlags(command)).action(runTrain)
}

async function runTrain(data: string | undefined, flags: TrainFlags, asked: Command): Promise<void> {
  const group = await openGroup()
  await inGroup(group, () => (group.rank > 0 ? joinTrain(group, flags) : runOnFirst(group, data, flags, asked)))
}

/** The part of the ranks of a group but the first, which prints and writes for all. */
async function joinTrain(group: Group, { differences = callTable.differences.check.fallback }: TrainFlags) {
  await stoppable((signal) => joinRun(group, { differences, signal }), 'rank 0 has saved the training')
}

async function runOnFirst(group: Group, data: string | undefined, flags: TrainFlags, asked: Command): Promise<void> {
  if (flags.resume !== undefined) checkAlone(data, asked)
  const { folder, file, sources } = flags.resume === undefined ? await newRun(data, flags) : await oldRun(flags.resume)
  const output = runOutput(folder, flags.json === true)
  const { differences = callTable.differences.check.fallback, frozenFeatures } = flags
  const command = shellText(['vggnet', ...process.argv.slice(2)])
  let hasStarted = flags.resume !== undefined
  const onStep = (event: StepEvent) => {
    hasStarted = true
    return output.hooks.onStep?.(event)
  }
  const trained = async (signal: AbortSignal): Promise<void> => {
    try {
      const asked = { differences, ...(frozenFeatures && { frozenFeatures }), ...(group.size > 1 && { group }) }
      const hooks = { ...output.hooks, ...asked, onStep, signal, command }
      const report = await runAll(folder, file, hooks, sources)
      output.end(report, runFiles(folder).model)
    } catch (error) {
      output.pause()
      // the first error is the one that is reported
      if (!hasStarted && !signal.aborted) await removeUnstarted(folder, file).catch(() => undefined)
      throw error
    }
  }
  await stoppable(trained, `continue with:\n  ${commandText(['train', '--resume', folder])}`, () => {
    output.pause()
    print('Stopping after the steps in flight; again to stop at once ...', process.stderr)
  })
}

const allowedWithResume = ['resume', 'differences', 'frozenFeatures', 'json']

/** A run is resumed with its own options, or it would not end with the same bytes. */
function checkAlone(data: string | undefined, command: Command): void {
  const names = command.options.map((option) => option.attributeName())
  const others = names.filter(
    (name) => command.getOptionValueSource(name) === 'cli' && !allowedWithResume.includes(name),
  )
  const [other] = data === undefined ? others : [`'${data}'`]
  if (other === undefined) return
  const message = `Expected --resume alone, or with --json, but received ${other} too; --from starts a new run from a model`
  throw new VggError('INVALID_ARGUMENT', message)
}

interface Run {
  readonly folder: string
  readonly file: RunFile
  /** The images, if they have been found. */
  readonly sources?: PreparedRun['sources']
}

async function newRun(data: string | undefined, flags: TrainFlags): Promise<Run> {
  const folder = flags.out ?? (await freeFolder())
  const asked = descriptionOf(data, flags)
  await checkNew(folder, asked)
  checkPlan(flags)
  await checkOptions(asked, flags.plan)
  const { description, sources, chosen } = await prepareRun(asked)
  const file: RunFile = { format: 1, vggnet: packageVersion(), plan: flags.plan, description }
  const [first] = trainingsOf(folder, file)
  const quiet = flags.json === true
  if (flags.check && first) await checkBefore({ description: first.description, sources, chosen }, flags)
  else if (chosen !== undefined && !quiet) print(chosen)
  return { folder, file: await createRun(folder, file, sources), sources }
}

/** A plan sets these options; other values would have no effect. */
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

/** Number of images opened before a training; `vggnet check` opens more. */
const imagesOpened = 200

async function checkBefore(prepared: PreparedRun, { frozenFeatures, json }: TrainFlags): Promise<void> {
  const report = await preflightRun(prepared, { limit: imagesOpened, frozenFeatures })
  if (!json) print(`${checkLines(prepared, report).join('\n')}\n`)
  refuseFatal(report, ' (--no-check trains anyway)')
}
