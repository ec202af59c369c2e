// node --import tsx faults-program.ts FOLDER AMOUNT FAULT WORK...: does each work undisturbed, and then with AMOUNT of its faults, spread
// evenly, one after another; or with the one fault of this text, if it is not ''. Prints lines of JSON: `Line`.
import { cpSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { messageOf, VggError } from '../../lib/error.js'
import { emptied, isUnfinished, leftIn, type Work, works } from './fault-works.js'
import { Control, chosenFaults, type Fault, faultsOf, fileFaults, textOf } from './faulty.js'

/** What a work with a fault came to. */
export interface Outcome {
  readonly work: string
  readonly fault: string
  /** Whether the call was made; another order of calls may leave it out. */
  readonly fired: boolean
  /** Code of the error, and its message; 'done' without one, 'noticed' where a warning tells of the fault. */
  readonly result: string
  readonly message: string
  /** What is wrong with it. */
  readonly wrong: readonly string[]
}

/** A line of the output: what is about to begin, or what it came to, or the size of a work. */
export type Line =
  | { readonly begins: string }
  | Outcome
  | { readonly work: string; readonly calls: number; readonly faults: number }

const [folder = '', amount = '1', only = '', ...names] = process.argv.slice(2)
const [start, now] = [path.join(folder, 'start'), path.join(folder, 'now')]
const control = new Control(process.env.VGGNET_FAULTS ?? '', fileFaults)
const warnings: string[] = []
process.removeAllListeners('warning')
process.on('warning', ({ message }) => warnings.push(message))
const rejections: unknown[] = []
process.on('unhandledRejection', (error) => rejections.push(error))
const print = (line: Line): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

// a warning or an unhandled rejection is reported in a later turn
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

/** Files of the folder that this process holds open. */
const openFiles = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${descriptor}`)
      return file.startsWith(`${now}/`) ? [`${descriptor} ${file}`] : []
    } catch {
      return []
    }
  })

const unfinished = (): string[] => readdirSync(now, { recursive: true, encoding: 'utf8' }).filter(isUnfinished)

const bytesIn = (of: string): Map<string, Buffer> =>
  new Map(
    readdirSync(of, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file) => [path.relative(of, file), readFileSync(file)]),
  )

/** A work whose undisturbed result is known. */
class Disturbed {
  readonly #name: string
  readonly #work: Work
  readonly #before = bytesIn(start)
  readonly #after = bytesIn(now)
  readonly #left = leftIn(now)
  readonly #answer: string

  constructor(name: string, work: Work, answer: string) {
    this.#name = name
    this.#work = work
    this.#answer = answer
  }

  async with(fault: Fault): Promise<Outcome> {
    emptied(now)
    cpSync(start, now, { recursive: true, preserveTimestamps: true })
    const [open, wrong] = [new Set(openFiles()), [] as string[]]
    const check = (what: string, files: readonly string[]): void => {
      if (files.length > 0) wrong.push(`${what}: ${files.join(', ')}`)
    }
    warnings.length = rejections.length = 0
    control.arm(fault)
    const { answer, error } = await this.#work.act(now).then(
      (answer) => ({ answer, error: undefined }),
      (error: unknown) => ({ answer: undefined, error }),
    )
    const { fired } = control.disarm()
    await turn()
    const code = error instanceof VggError ? error.code : 'raw'
    if (error !== undefined && ['raw', 'INTERNAL'].includes(code)) wrong.push(`no VggError: ${stackOf(error)}`)
    if (error !== undefined && continued.includes(fault.fault)) wrong.push(`not continued: ${stackOf(error)}`)
    check('unhandled', rejections.map(stackOf))
    if (error === undefined && warnings.length === 0) {
      if (answer !== this.#answer) wrong.push('another result')
      check('other files', this.#differences())
    }
    check('neither old nor new', this.#spoilt())
    const stillOpen = () => openFiles().filter((file) => !open.has(file))
    // reads at once go on for a moment after one of them has failed
    for (let time = 0; time < 100 && stillOpen().length > 0; time++) await pause(20)
    check('open', stillOpen())
    // what cannot be removed stays
    if (fault.kind !== 'remove' && !fault.lasts) check('unfinished', unfinished())
    wrong.push(...(await this.#afterwards()))
    const result = error === undefined ? (warnings.length > 0 ? 'noticed' : 'done') : code
    const message = error === undefined ? warnings.join('; ') : messageOf(error)
    return { work: this.#name, fault: textOf(fault), fired: fired > 0, result, message, wrong }
  }

  /** What is wrong when the work is done again, undisturbed. */
  async #afterwards(): Promise<string[]> {
    this.#work.again?.(now)
    try {
      const answer = await this.#work.act(now)
      const files = [...this.#differences(), ...(this.#work.tidies ? unfinished() : [])]
      return [
        ...(answer === this.#answer ? [] : ['another result afterwards']),
        ...files.map((file) => `afterwards: ${file}`),
      ]
    } catch (error) {
      return [`afterwards: ${stackOf(error)}`]
    }
  }

  #differences(): string[] {
    const left = leftIn(now)
    const files = new Set([...left.keys(), ...this.#left.keys()])
    // a lock file that could not be removed locks nothing
    return [...files].filter((file) => left.get(file) !== this.#left.get(file) && path.basename(file) !== '.lock')
  }

  /** Files that were there and are neither those of before nor those of an undisturbed work. The log is appended to. */
  #spoilt(): string[] {
    const found = bytesIn(now)
    return [...this.#before].flatMap(([file, bytes]) => {
      const own = found.get(file)
      if (/log\.jsonl|tfevents|\.lock$/.test(file) || (/step-\d+/.test(file) && own === undefined)) return []
      return own !== undefined && [bytes, this.#after.get(file)].some((known) => known?.equals(own)) ? [] : [file]
    })
  }
}

/** What a call comes to that is not an error: it is to be made again, for the rest. */
const continued = ['EINTR', 'short']

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

async function faultsIn(name: string): Promise<void> {
  const work = works[name]
  if (work === undefined) throw new Error(`There is no work ${name}`)
  // in the folder that it is done in, because files name it
  await work.before(emptied(now))
  cpSync(now, emptied(start), { recursive: true, preserveTimestamps: true })
  control.count()
  const answer = await work.act(now)
  const { calls } = control.disarm()
  const disturbed = new Disturbed(name, work, answer)
  const all = faultsOf(fileFaults, calls)
  print({ work: name, calls: calls.reduce((sum, count) => sum + count, 0), faults: all.length })
  for (const fault of chosenFaults(all, Number(amount), only)) {
    print({ begins: `${name}: ${textOf(fault)}` })
    print(await disturbed.with(fault))
  }
}

for (const name of names) await faultsIn(name)
control.close()
process.exit(0)
