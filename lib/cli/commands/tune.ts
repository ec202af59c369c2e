import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { forgetTuning, keepTuning, type Measured, type MeasuredDial, measureTuning } from '../../measure/tuning.js'
import { type TuningInForce, tuningFile, tuningInForce } from '../../platform/kept-tuning.js'
import { type Column, columnsOf, countedText, shortened, tableLines, wrapped } from '../../table.js'
import { given, number } from '../flags/flags.js'
import { stoppable } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { waitingOn } from '../terminal/progress.js'
import { dialNames, dialText, tuningFacts } from '../terminal/sections.js'

const examples = `
Measures which block sizes make convolutions fastest on this processor, in less
than a minute on two cores with 1 GB of memory, and keeps them in the per-user
cache, for this processor, number of threads and build. A size replaces the
default only where it is at least 2 % faster. The sizes affect results by
rounding only; VGGNET_TUNING=off disables them. Exit code 1 where the background
load was too high and nothing is kept.

Examples:
  $ vggnet tune
  $ vggnet tune --show
  $ vggnet tune --rounds 15 --background-load 5 --json`

interface Flags {
  rounds?: number
  backgroundLoad?: number
  show?: true
  reset?: true
  json?: true
}

/** Adds `vggnet tune`: measures the fastest block sizes for this processor and keeps them. */
export function addTune(program: Command): void {
  const alone = ['rounds', 'backgroundLoad']
  program
    .command('tune')
    .description('measure the fastest block sizes for this processor, and keep them')
    .option('--rounds <n>', 'interleaved rounds of each candidate (default: 7)', number)
    .option('--background-load <percent>', 'most of the machine that other programs may use (default: 15)', number)
    .addOption(new Option('--show', 'show the sizes in use and their source').conflicts([...alone, 'reset']))
    .addOption(new Option('--reset', 'remove the kept sizes').conflicts(alone))
    .option('--json', 'one JSON object')
    .addHelpText('after', examples)
    .action(async (flags: Flags) => {
      if (flags.show) return printFound(flags, tuningInForce(), (found) => tuningFacts(found).join('\n'))
      if (flags.reset) return printFound(flags, await reset(), resetText)
      const found = await tuned(flags)
      printFound(flags, found, text)
      if (!found.kept) process.exitCode = 1
    })
}

function printFound<T>({ json }: Flags, found: T, words: (found: T) => string): void {
  if (json) printJson(found, 2)
  else print(words(found))
}

async function reset(): Promise<{ removed: boolean; file: string }> {
  const file = tuningFile(process.env)
  return { removed: await forgetTuning(file), file }
}

const resetText = ({ removed, file }: { removed: boolean; file: string }): string =>
  removed ? `Removed ${file}` : `There is no ${file}`

/** Output of `--json`. */
interface Tuned extends Measured {
  kept: boolean
  file: string
  before: Pick<TuningInForce, 'tuning' | 'source'>
}

async function tuned({ rounds, backgroundLoad }: Flags): Promise<Tuned> {
  const file = tuningFile(process.env)
  const { tuning, source } = tuningInForce()
  const found = await stoppable((signal) => {
    const waiting = waitingOn(process.stderr)
    const onProgress = (name: MeasuredDial['name'], done: number, of: number) =>
      waiting.update(`measuring the ${dialNames[name]}:`, done, of)
    return measureTuning({ ...given({ rounds, backgroundLoad }), signal, onProgress }).finally(() => waiting.end())
  }, `${file} is unchanged`)
  const kept = found.obstacle === ''
  if (kept) await keepTuning(file, found)
  return { kept, file, before: { tuning, source }, ...found }
}

function dialLines({ name, direction, shapes, standard, chosen, candidates }: MeasuredDial): string[] {
  const columns: Column[] = [
    { title: dialNames[name], align: 'left' },
    ...shapes.map(({ channels, side, batch }): Column => {
      return { title: `${channels} channels, ${side}x${side}, batch ${batch}`, align: 'right' }
    }),
    { title: 'speedup', align: 'right' },
    { title: '', align: 'left' },
  ]
  const rows = candidates.map(({ value, milliseconds, ratio }) => [
    dialText(name, value),
    ...milliseconds.map((time) => `${time.toFixed(2)} ms`),
    ratio.toFixed(3),
    [value === standard ? 'default' : '', value === chosen ? 'chosen' : ''].filter(Boolean).join(', '),
  ])
  const [titles = '', rule = '', ...body] = tableLines(columns, rows, columnsOf(process.stdout))
  return ['', pc.bold(shortened(`${titles}   ${direction}`, columnsOf(process.stdout))), pc.dim(rule), ...body]
}

function ending({ kept, file, obstacle }: Tuned): string {
  if (!kept)
    return pc.red(`Nothing is kept: ${obstacle}. Try again on an idle machine, or with --background-load PERCENT`)
  const unused = process.env.VGGNET_TUNING === 'off' ? '; VGGNET_TUNING=off disables it' : ''
  return `Kept in ${file}, for processes that start from now on${unused}`
}

function text(found: Tuned): string {
  const { machine, rounds, dials, backgroundLoad } = found
  const { processor, threads, buildId } = machine
  const load = `background load ${(100 * backgroundLoad).toFixed(1)} %`
  const head = `${processor}, ${countedText(threads, 'thread')}, build ${buildId}, ${countedText(rounds, 'round')}, ${load}`
  const width = columnsOf(process.stdout)
  return [...wrapped(head, width), ...dials.flatMap(dialLines), '', ...wrapped(ending(found), width)].join('\n')
}
