// The benchmark on a processor: each case in a process of its own.
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../lib/error.js'
import type { Run } from '../lib/measure/ours.js'
import { defaultPeersFolder, peersAreThere, peerVersions, runFiles } from '../scripts/setup/peers.mjs'
import { type Case, processorCases, storedOf } from './cases.js'
import { type Flags, wantsPeers } from './flags.js'
import type { CaseFound, ScalingFound } from './report.js'
import type { Peers } from './rivals.js'
import type { Ceilings, Stored } from './roofline.js'
import type { Say, Session } from './session.js'
import { Torch } from './torch.js'

/** What a process is to measure; plain data. */
export interface Task {
  readonly kind: 'case' | 'scaling'
  readonly case: Case
  readonly run: Run & { readonly threads: number }
  readonly stored: Stored
  readonly rounds: number
  readonly milliseconds: number
  readonly peers: Peers
  readonly ceilings?: Ceilings
  readonly stages: boolean
  /** Until nothing more is begun; absent: no limit. */
  readonly seconds?: number
}

async function findPeers(flags: Flags, say: Say): Promise<{ peers: Peers; versions: Record<string, string> }> {
  if (!wantsPeers(flags)) return { peers: {}, versions: {} }
  const folder = typeof flags.peers === 'string' ? path.resolve(flags.peers) : defaultPeersFolder()
  const there = peersAreThere(folder)
  const python = flags.peer ?? (there ? runFiles(folder).python : undefined)
  if (!there) say(`No peers in ${folder}: \`npm run bench:peers\` puts PyTorch and onnxruntime-node there.`)
  const runtime: Record<string, string> = there ? { 'onnxruntime-node': peerVersions['onnxruntime-node'] } : {}
  const peers = there ? { folder } : {}
  if (python === undefined) return { peers, versions: runtime }
  const torch = Torch.onProcessor(python, 0)
  try {
    const versions = await torch.versions(120)
    return { peers: { ...peers, python }, versions: { torch: String(versions.torch), ...runtime } }
  } catch (error) {
    say(`No PyTorch: ${messageOf(error)}`)
    return { peers, versions: runtime }
  } finally {
    torch.close()
  }
}

/** What a process of its own answers; an error where it ends without an answer. */
function answerTo<Answer>(task: Task): Promise<Answer> {
  const child = fork(fileURLToPath(new URL('case-process.ts', import.meta.url)), {
    // the standard output may be for programs
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    detached: true,
  })
  child.stdout?.pipe(process.stderr)
  return new Promise((resolve, reject) => {
    child.once('message', (answer) => resolve(answer as Answer))
    child.once('error', reject)
    child.once('exit', () => endGroup(child.pid))
    // after the answer, which may still be under way at the exit
    child.once('close', (code, signal) => reject(new Error(`the process of the case ended: ${signal ?? code}`)))
    child.send(task)
  })
}

// A peer that was standing still when its asker was killed would stand there for ever.
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch {
    // nobody is left
  }
}

export async function openProcessor(flags: Flags, say: Say): Promise<Session> {
  const start = performance.now()
  const { peers, versions } = await findPeers(flags, say)
  const { device, precision, ceilings, limit } = flags
  const taskOf = (kind: Task['kind'], one: Case): Task => ({
    kind,
    case: one,
    run: { device, ...(precision && { precision }), threads: flags.threads ?? availableParallelism() },
    stored: precision ?? storedOf(device),
    rounds: flags.rounds,
    milliseconds: flags.milliseconds ?? 1000,
    peers,
    ...(ceilings && { ceilings }),
    stages: flags.stages ?? false,
    ...(limit && { seconds: limit - (performance.now() - start) / 1000 }),
  })
  return {
    versions,
    ...(ceilings && { ceilings }),
    cases: processorCases,
    measure: (one) =>
      answerTo<CaseFound>(taskOf('case', one)).catch((error) => ({ case: one, peers: [], error: messageOf(error) })),
    scaling: (one) => {
      const task = taskOf('scaling', one)
      const { threads } = task.run
      return answerTo<ScalingFound>(task).catch((error) => ({ case: one, threads, error: messageOf(error) }))
    },
    close: () => undefined,
  }
}
