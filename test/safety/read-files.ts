/**
 * Reads mutated files: `node --import tsx test/safety/read-files.ts SEED FROM TO`. It prints a line of JSON for each failure and
 * one at the end. A second thread ends the process if a file takes too long.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { VggError } from '../../lib/error.js'
import { Random } from '../../lib/random.js'
import { type Format, formatsIn, type Mutated } from './formats.js'

/** A file that was not read as it should be. */
export interface Failure {
  readonly case: number
  readonly format: string
  readonly problem: string
}

/** Counts of one format: files, those that were read, and those refused by the code of the error. */
export interface Count {
  files: number
  accepted: number
  equal: number
  readonly refused: Record<string, number>
  /** Seconds of processor time of all files. */
  total: number
  /** Most seconds of processor time, and most bytes of memory beyond 10 times the file, of one file. */
  seconds: number
  bytes: number
}

/** What the process prints at its end. */
export type Counts = Record<string, Count>

/** Most seconds of processor time for a file. It is many times what any takes. */
const mostSeconds = 60
/** Most bytes of memory for a file, beside ten times its size. */
const mostBytes = 2 ** 28
/** The codes of errors that a file may cause. */
const codes = ['FILE_FORMAT', 'FILE_NOT_FOUND', 'INVALID_ARGUMENT', 'SHAPE_MISMATCH', 'OUT_OF_MEMORY', 'NOT_FINITE']
codes.push('RESUME_MISMATCH')
const longestMessage = 5000

const memoryOf = (name: 'VmRSS' | 'VmHWM'): number => {
  const [, kilobytes] = new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return 1024 * Number(kilobytes)
}

class Campaign {
  readonly #seed: number
  readonly #formats: readonly Format[]
  readonly #file: string
  /** What was read of the whole files of each format. */
  readonly #whole = new Map<Format, string[]>()
  /** Whole seconds of the process when the present case began; read by the thread that watches. */
  readonly #begun: Int32Array
  readonly counts: Counts = {}
  index = 0

  constructor(seed: number, formats: readonly Format[], file: string, begun: Int32Array) {
    this.#seed = seed
    this.#formats = formats
    this.#file = file
    this.#begun = begun
  }

  /** Reads the whole files, with which mutated ones are compared. */
  async prepare(): Promise<void> {
    for (const format of this.#formats) {
      const found: string[] = []
      for (const file of format.files) {
        writeFileSync(this.#file, file)
        found.push(await format.read(this.#file, new Random(0)))
      }
      this.#whole.set(format, found)
    }
  }

  async run(index: number): Promise<void> {
    this.index = index
    const random = Random.at(this.#seed, index, 0)
    const format = this.#formatOf(random.integer(this.#formats.reduce((sum, { share }) => sum + share, 0)))
    const number = random.integer(format.files.length)
    const mutated = await format.mutate(random, format.files[number] as Uint8Array)
    writeFileSync(this.#file, mutated.bytes)
    this.counts[format.name] ??= { files: 0, accepted: 0, equal: 0, refused: {}, total: 0, seconds: 0, bytes: 0 }
    const count = this.counts[format.name] as Count
    count.files += 1
    // the largest memory is measured anew
    writeFileSync('/proc/self/clear_refs', '5')
    const [memory, processor] = [memoryOf('VmRSS'), process.cpuUsage()]
    Atomics.store(this.#begun, 0, Math.floor(seconds(process.cpuUsage())))
    try {
      const found = await format.read(this.#file, random)
      count.accepted += 1
      if (found === this.#whole.get(format)?.[number]) count.equal += 1
      else if (format.isVerified && !mutated.isSealed) this.#fail(format, 'it was read, and is another one')
    } catch (error) {
      this.#refused(format, count, error)
    }
    Atomics.store(this.#begun, 0, -1)
    const taken = seconds(process.cpuUsage(processor))
    count.total += taken
    count.seconds = Math.max(count.seconds, taken)
    this.#measure(format, count, memoryOf('VmHWM') - memory, mutated)
  }

  #formatOf(position: number): Format {
    let end = 0
    for (const format of this.#formats) {
      end += format.share
      if (position < end) return format
    }
    throw new RangeError(`Expected a position below ${end} but received ${position}`)
  }

  #refused(format: Format, { refused }: Count, error: unknown): void {
    if (!(error instanceof VggError)) {
      this.#fail(format, `raw error: ${(error as Error)?.stack ?? error}`)
      return
    }
    refused[error.code] = (refused[error.code] ?? 0) + 1
    if (!codes.includes(error.code)) this.#fail(format, `${error.code}: ${error.stack}`)
    if (error.message.length > longestMessage) this.#fail(format, `a message of ${error.message.length} characters`)
  }

  #measure(format: Format, count: Count, bytes: number, { bytes: { length } }: Mutated): void {
    count.bytes = Math.max(count.bytes, bytes - 10 * length)
    if (bytes > 10 * length + mostBytes) this.#fail(format, `${bytes} bytes of memory for a file of ${length}`)
  }

  #fail({ name }: Format, problem: string): void {
    console.log(JSON.stringify({ case: this.index, format: name, problem } satisfies Failure))
  }

  /** An error that nothing awaited. */
  unhandled(error: unknown): void {
    const problem = `unhandled: ${error instanceof Error ? error.stack : error}`
    console.log(JSON.stringify({ case: this.index, format: '', problem } satisfies Failure))
  }
}

const seconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6

async function main(seed: number, from: number, to: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-files-'))
  const begun = new Int32Array(new SharedArrayBuffer(4)).fill(-1)
  const watcher = new Worker(new URL('watch.mjs', import.meta.url), { workerData: { begun, mostSeconds } })
  try {
    const campaign = new Campaign(seed, await formatsIn(folder), path.join(folder, 'file'), begun)
    process.on('unhandledRejection', (error) => campaign.unhandled(error))
    process.on('uncaughtException', (error) => campaign.unhandled(error))
    // of files without checksums
    process.on('warning', () => undefined)
    await campaign.prepare()
    for (let index = from; index < to; index++) {
      // where it was if it is killed
      writeFileSync(process.env.VGGNET_PROGRESS ?? path.join(folder, 'progress'), String(index))
      await campaign.run(index)
    }
    console.log(JSON.stringify(campaign.counts))
  } finally {
    await watcher.terminate()
    rmSync(folder, { recursive: true })
  }
}

const [seed = 1, from = 0, to = 1] = process.argv.slice(2).map(Number)
await main(seed, from, to)
