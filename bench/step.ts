// `npm run bench`: images per second of whole networks, interleaved with the baselines. `--help` lists the flags.
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { messageOf } from '../lib/error.js'
import {
  baselineFiles,
  baselinesAreInstalled,
  baselineVersions,
  defaultBaselinesFolder,
} from '../scripts/setup/peers.mjs'
import { cpuBaselines, gpuBaselines, type Installed, script, torchOnCpu, torchOnGpu } from './baselines.js'
import { type Case, cpuCases, gpuCases, scalingCases, storedOf } from './cases.js'
import { type Flags, namedCase, readFlags, wantsBaselines } from './flags.js'
import {
  type CaseFound,
  measureCase,
  measureScaling,
  type ScalingFound,
  type ScalingSettings,
  type Settings,
} from './measure.js'
import type { Ceilings } from './roofline.js'
import {
  caseLines,
  caseRecords,
  type Found,
  headLines,
  machineOf,
  scalingLine,
  scalingRecord,
  stageLines,
  writeFound,
} from './tables.js'

/** A measurement on one device. */
interface Session {
  /** Versions of the baselines. */
  readonly versions: Readonly<Record<string, string>>
  readonly ceilings?: Ceilings
  /** The cases that are measured if the flags name none. */
  readonly cases: readonly Case[]
  measure(benchCase: Case): Promise<CaseFound>
  /** Absent on a GPU, which has no threads to choose. */
  scaling?(benchCase: Case): Promise<ScalingFound>
  close(): void
}

/** Prints text for people: to the standard output, unless that is for JSON. */
type Say = (text: string) => void

/** Time limit for PyTorch to compile one network on a GPU. */
const gpuPrepareSeconds = 150

/** On a GPU all cases run in this process, and PyTorch in one other. */
async function openGpu(flags: Flags, say: Say): Promise<Session> {
  const start = performance.now()
  const secondsLeft = () => (flags.limit ?? Number.POSITIVE_INFINITY) - (performance.now() - start) / 1000
  const { device, precision } = flags
  const stored = precision ?? storedOf(device)
  const torch = torchOnGpu(flags.peer ?? 'python3')
  const asked = async (request: object) => torch.ask(request, Math.min(gpuPrepareSeconds, secondsLeft()))
  let versions: Record<string, string> = {}
  let { ceilings } = flags
  try {
    const found = await asked({ do: 'versions' })
    versions = { torch: String(found.torch), 'cudnn-of-torch': String(found.cudnn) }
    ceilings ??= (await asked({ do: 'ceilings', precision: stored })) as unknown as Ceilings
  } catch (error) {
    const missing = 'torch' in versions ? 'ceilings' : 'PyTorch'
    say(`No ${missing}: ${messageOf(error)}${ceilings ? '' : '; --ceilings TFLOPS,TBS sets the ceilings'}`)
  }
  const hasBaselines = 'torch' in versions && !flags.alone
  const settings: Settings = {
    run: { device, ...(precision && { precision }) },
    stored,
    rounds: flags.rounds,
    milliseconds: flags.milliseconds ?? 400,
    baselinesOf: (benchCase) => (hasBaselines ? gpuBaselines(torch, benchCase, stored) : []),
    prepareSeconds: gpuPrepareSeconds,
    ...(ceilings && { ceilings }),
    stages: flags.stages ?? false,
    secondsLeft,
  }
  return {
    versions,
    ...(ceilings && { ceilings }),
    cases: gpuCases,
    measure: (benchCase) => measureCase(benchCase, settings),
    close: () => torch.close(),
  }
}

/** What a process measures, sent to it as a message. */
interface Task extends ScalingSettings, Pick<Settings, 'stored' | 'ceilings' | 'stages'> {
  readonly kind: 'case' | 'scaling'
  readonly case: Case
  readonly installed: Installed
  /** Time after which nothing more is started. Default: no limit. */
  readonly seconds?: number
}

async function findBaselines(flags: Flags, say: Say): Promise<{ installed: Installed; versions: Session['versions'] }> {
  if (!wantsBaselines(flags)) return { installed: {}, versions: {} }
  const folder = typeof flags.peers === 'string' ? path.resolve(flags.peers) : defaultBaselinesFolder()
  const there = baselinesAreInstalled(folder)
  if (!there) say(`No baselines in ${folder}: \`npm run bench:peers\` installs PyTorch and onnxruntime-node.`)
  const python = flags.peer ?? (there ? baselineFiles(folder).python : undefined)
  const runtime = there && { 'onnxruntime-node': baselineVersions['onnxruntime-node'] }
  const withoutTorch = { installed: there ? { folder } : {}, versions: { ...runtime } }
  if (python === undefined) return withoutTorch
  const torch = torchOnCpu(python, 0)
  try {
    const versions = await torch.ask({ do: 'versions' }, 120)
    return {
      installed: { ...withoutTorch.installed, python },
      versions: { torch: String(versions.torch), ...runtime },
    }
  } catch (error) {
    say(`No PyTorch: ${messageOf(error)}`)
    return withoutTorch
  } finally {
    torch.close()
  }
}

/** Measures in a new process. @throws Error if it ends without an answer */
function answerTo<Answer>(task: Task): Promise<Answer> {
  const child = fork(script('step.ts'), ['case'], {
    // the standard output may be for JSON
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    detached: true,
  })
  child.stdout?.pipe(process.stderr)
  return new Promise((resolve, reject) => {
    child.once('message', (answer) => resolve(answer as Answer))
    child.once('error', reject)
    child.once('exit', () => endGroup(child.pid))
    // 'close' follows the answer, which may arrive after 'exit'
    child.once('close', (code, signal) => reject(new Error(`the process of the case ended: ${signal ?? code}`)))
    child.send(task)
  })
}

// A stopped baseline would otherwise remain if the process that uses it is killed.
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch {
    // no process is left
  }
}

/** On the CPU each case has its own process, so that its peak memory is its own. */
async function openCpu(flags: Flags, say: Say): Promise<Session> {
  const start = performance.now()
  const { installed, versions } = await findBaselines(flags, say)
  const { device, precision, ceilings, limit } = flags
  const threads = flags.threads ?? availableParallelism()
  const taskOf = (kind: Task['kind'], benchCase: Case): Task => ({
    kind,
    case: benchCase,
    run: { device, ...(precision && { precision }), threads },
    stored: precision ?? storedOf(device),
    rounds: flags.rounds,
    milliseconds: flags.milliseconds ?? 1000,
    installed,
    ...(ceilings && { ceilings }),
    stages: flags.stages ?? false,
    ...(limit && { seconds: limit - (performance.now() - start) / 1000 }),
  })
  return {
    versions,
    ...(ceilings && { ceilings }),
    cases: cpuCases,
    measure: (benchCase) =>
      answerTo<CaseFound>(taskOf('case', benchCase)).catch((error) => {
        return { case: benchCase, peers: [], error: messageOf(error) }
      }),
    scaling: (benchCase) =>
      answerTo<ScalingFound>(taskOf('scaling', benchCase)).catch((error) => {
        return { case: benchCase, threads, error: messageOf(error) }
      }),
    close: () => undefined,
  }
}

/** The process of one case: receives a task, sends the result and exits. */
function answerTask(): void {
  const start = performance.now()
  async function resultOf(task: Task) {
    const { kind, case: benchCase, installed, seconds = Number.POSITIVE_INFINITY, ...settings } = task
    if (kind === 'scaling') return measureScaling(benchCase, settings)
    return measureCase(benchCase, {
      ...settings,
      baselinesOf: (of) => cpuBaselines(installed, settings.run.threads, of),
      prepareSeconds: 900,
      secondsLeft: () => seconds - (performance.now() - start) / 1000,
    })
  }
  // the process that sent the task has ended; an exit ends the baselines too
  process.once('disconnect', () => process.exit(1))
  process.once('message', async (task) => {
    const result = await resultOf(task as Task)
    process.send?.(result, () => process.exit(0))
  })
}

async function main(flags: Flags): Promise<void> {
  const say: Say = flags.json === true ? console.error : console.log
  const session = await (flags.device.startsWith('cuda') ? openGpu : openCpu)(flags, say)
  const { ceilings, versions } = session
  const precision = flags.precision ?? storedOf(flags.device)
  const found: Found = { machine: machineOf(versions), precision, ...(ceilings && { ceilings }), cases: [] }

  function report(lines: readonly string[], records: readonly object[], error: string | undefined): void {
    say(lines.join('\n'))
    if (typeof flags.json === 'string') writeFound(flags.json, found)
    if (flags.json === true) for (const record of records) console.log(JSON.stringify(record))
    if (error) process.exitCode = 1
  }

  const named = namedCase(flags)
  try {
    say(headLines(found).join('\n'))
    if (flags.scaling && session.scaling) {
      found.scaling = []
      for (const benchCase of named ? [named] : scalingCases) {
        const result = await session.scaling(benchCase)
        found.scaling.push(result)
        report([scalingLine(result)], [scalingRecord(result, found)], result.error)
      }
      return
    }
    for (const benchCase of named ? [named] : session.cases) {
      const result = await session.measure(benchCase)
      found.cases.push(result)
      report([...caseLines(result), ...stageLines(result.stages)], caseRecords(result, found), result.error)
    }
  } finally {
    session.close()
  }
}

if (process.argv[2] === 'case') answerTask()
else await main(readFlags(process.argv.slice(2)))
