import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import { isTemporary } from '../../lib/files/atomic-file.js'
import type { Random } from '../../lib/random.js'
import { start } from './command.js'

const script = 'test/setup/resumable.ts'
const environment = { OMP_WAIT_POLICY: 'passive' }

/** What a training has left in its folder, times left out. */
export interface Left {
  /** Names and bytes of model, newest checkpoints and best. */
  readonly files: ReadonlyMap<string, Buffer>
  /** The report. */
  readonly end: unknown
  /** The steps by number, each as it was said. Steps that were done again must have been said in the same words. */
  readonly steps: ReadonlyMap<number, string>
  readonly epochs: ReadonlyMap<number, string>
}

/** Both left the same files, byte for byte, and said the same. */
export function expectEqual(left: Left, reference: Left): void {
  expect([...left.files.keys()]).toEqual([...reference.files.keys()])
  for (const [name, bytes] of reference.files) expect(left.files.get(name)?.equals(bytes), name).toBe(true)
  expect(left.end).toEqual(reference.end)
  expect(left.steps).toEqual(reference.steps)
  expect(left.epochs).toEqual(reference.epochs)
}

/** Where a process was when it was killed. */
export type Moment = 'in step' | 'in save' | "in epoch's end" | 'before the first step' | 'at the end'

const logOf = (folder: string): string[] => {
  try {
    return readFileSync(path.join(folder, 'log'), 'utf8').split('\n').slice(0, -1)
  } catch {
    return []
  }
}

function said(lines: readonly string[], kind: string): Map<number, string> {
  const found = new Map<number, string>()
  for (const line of lines) {
    const [word, number] = line.split(' ')
    if (word !== kind) continue
    const before = found.get(Number(number))
    if (before !== undefined && before !== line) throw new Error(`Done again, and not the same: ${before} and ${line}`)
    found.set(Number(number), line)
  }
  return found
}

export function leftIn(folder: string): Left {
  const checkpoints = path.join(folder, 'checkpoints')
  const names = ['model.safetensors', ...readdirSync(checkpoints).map((name) => `checkpoints/${name}`)].sort()
  const lines = logOf(folder)
  const files = new Map(names.map((name) => [name, readFileSync(path.join(folder, name))]))
  return {
    files,
    end: JSON.parse(lines.at(-1)?.replace(/^end /, '') ?? ''),
    steps: said(lines, 'step'),
    epochs: said(lines, 'epoch'),
  }
}

function momentOf(folder: string, linesBefore: number): Moment {
  const lines = logOf(folder).slice(linesBefore)
  const last = lines.findLast((line) => !line.startsWith('saved')) ?? ''
  const checkpoints = path.join(folder, 'checkpoints')
  const writing = readdirSync(checkpoints).some(isTemporary)
  const unsaved = lines.filter((line) => line === 'saving').length > lines.filter((line) => /^saved /.test(line)).length
  if (writing || unsaved) return 'in save'
  if (last === '') return 'before the first step'
  if (last.startsWith('end')) return 'at the end'
  const step = /^step (\d+)/.exec(last)?.[1]
  return last.startsWith('epoch') || Number(step) % stepsPerEpoch === 0 ? "in epoch's end" : 'in step'
}

const stepsPerEpoch = 6

/** Waits until a process has said this, or has ended. */
function word(child: ReturnType<typeof start>['child'], wanted: string): Promise<void> {
  return new Promise((resolve) => {
    child.stdout.on('data', (text: string) => text.includes(wanted) && resolve())
    child.on('close', () => resolve())
  })
}

/** Runs the training in a new folder, undisturbed. @returns also the milliseconds from its first step to its end */
export async function undisturbed(folder: string): Promise<{ left: Left; milliseconds: number }> {
  mkdirSync(path.join(folder, 'checkpoints'), { recursive: true })
  const { child, ended } = start(script, [folder], environment)
  await word(child, 'stepping')
  const ready = performance.now()
  const { code, stderr } = await ended
  if (code !== 0) throw new Error(stderr)
  return { left: leftIn(folder), milliseconds: performance.now() - ready }
}

/**
 * Runs the training until it ends, killed on its way at random moments.
 * @param kills at most so many
 * @returns how often it was killed, and where
 */
export async function killedAndResumed(
  folder: string,
  random: Random,
  { kills, milliseconds }: { kills: number; milliseconds: number },
): Promise<{ left: Left; moments: Moment[] }> {
  mkdirSync(path.join(folder, 'checkpoints'), { recursive: true })
  const moments: Moment[] = []
  for (;;) {
    const lines = logOf(folder).length
    const { child, ended } = start(script, [folder], environment)
    if (moments.length < kills) {
      // now and then while it is being resumed
      const [from, most] = random.integer(8) === 0 ? ['ready', 100] : ['stepping', milliseconds]
      const delay = random.uniform(0, most)
      void word(child, from)
        .then(() => pause(delay))
        .then(() => child.kill('SIGKILL'))
    }
    const { code, stderr } = await ended
    if (code === 0) return { left: leftIn(folder), moments }
    if (child.signalCode !== 'SIGKILL') throw new Error(`After ${moments.length} kills: ${stderr}`)
    moments.push(momentOf(folder, lines))
  }
}
