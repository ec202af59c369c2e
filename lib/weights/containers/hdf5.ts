import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import { blockBytes } from '../../checkpoint/checksum.js'
import { messageOf, VggError } from '../../error.js'
import { packageRoot } from '../../platform/package.js'
import { floatsFrom, floatType } from './floats.js'
import type { Answer, Asked, Begun, Given, Index, Question } from './hdf5-thread.js'
import type { ForeignTensor, WeightFile } from './weight-file.js'

/** Number of elements that are read at a time. */
const blockElements = blockBytes / Float32Array.BYTES_PER_ELEMENT
/** Limit in seconds of processor time for one question to the thread; the index of VGG-19 takes 0.5 s. */
const longest = 60
/** Unit of processor time in /proc, which is the same on every Linux. */
const ticksPerSecond = 100

/**
 * Opens an HDF5 file, as Keras writes it, with the library h5wasm in a thread of its own. Its datasets are the tensors, by
 * their paths. Links are not followed, and no other file is opened.
 * @throws MISSING_TOOL without h5wasm; FILE_FORMAT for a file that is damaged, or whose sizes are not possible
 */
export async function openHdf5(file: string): Promise<WeightFile> {
  const thread = new Thread(file)
  try {
    return new Hdf5File(thread, await thread.ask<Index>({ about: 'index' }))
  } catch (error) {
    await thread.end()
    throw error
  }
}

class Hdf5File implements WeightFile {
  readonly container = 'hdf5'
  readonly layers = []
  readonly tensors: readonly ForeignTensor[]
  readonly metadata: Readonly<Record<string, string>>
  readonly #thread: Thread

  constructor(thread: Thread, { tensors, metadata }: Index) {
    this.#thread = thread
    this.tensors = tensors
    this.metadata = metadata
  }

  async read({ name, type }: ForeignTensor, into: Float32Array, begin: number): Promise<void> {
    const convert = floatsFrom[floatType(name, type)]
    for (let at = 0; at < into.length; at += blockElements) {
      const count = Math.min(blockElements, into.length - at)
      await this.#thread.ask<void>({ about: 'elements', name, begin: begin + at, count })
      convert(this.#thread.shared, into.subarray(at, at + count))
    }
  }

  digest(): Promise<string> {
    return this.#thread.ask({ about: 'digest' })
  }

  close(): Promise<void> {
    return this.#thread.end()
  }
}

/** The thread of a file. It is asked one question at a time: the answers share their memory. */
class Thread {
  /** The elements of the last answer, of 8 bytes at most. */
  readonly shared = new SharedArrayBuffer(8 * blockElements)
  readonly #worker: Worker
  readonly #begun: Promise<Begun>
  /** Never fulfilled; rejected when the thread has ended. */
  readonly #ended: Promise<never>
  #fail: (problem: string) => void = () => undefined

  constructor(file: string) {
    // the compiled one, also beside the source, because Node runs no TypeScript
    const program = path.join(packageRoot(), 'dist', 'weights', 'containers', 'hdf5-thread.js')
    const workerData: Given = { path: path.resolve(file), shared: this.shared }
    const worker = new Worker(program, { workerData, execArgv: [], stdout: true, stderr: true })
    // a file that nobody closed does not keep the process
    worker.unref()
    this.#worker = worker
    this.#begun = once(worker, 'message').then(([begun]) => begun)
    this.#ended = new Promise((_, reject) => {
      this.#fail = (problem) => reject(unreadable(problem))
    })
    worker.on('error', (error) => this.#fail(messageOf(error)))
    worker.on('exit', () => this.#fail('the library ended'))
    for (const promise of [this.#begun, this.#ended]) promise.catch(() => undefined)
  }

  async ask<T>(question: Asked): Promise<T> {
    const { port1, port2 } = new MessageChannel()
    const answered = once(port1, 'message')
    this.#worker.postMessage({ ...question, port: port2 } satisfies Question, [port2])
    const begun = await Promise.race([this.#begun, this.#ended])
    const limit = processorTime(begun) + longest
    const watch = setInterval(() => {
      if (processorTime(begun) < limit) return
      this.#fail(`the library was not ready after ${longest} s of processor time`)
      void this.end()
    }, 1000)
    try {
      const [answer] = (await Promise.race([answered, this.#ended])) as [Answer<T>]
      if ('missing' in answer) throw missing(answer.missing)
      if ('problem' in answer) throw unreadable(answer.problem)
      return answer.value
    } finally {
      clearInterval(watch)
      port1.close()
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** Seconds of processor time that a thread has used; 0 once it has ended. */
function processorTime({ folder }: Begun): number {
  try {
    // the name of the program, which may have spaces, is in brackets; user and system time are the 12th and 13th words after
    const words = readFileSync(`${folder}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return (Number(words[11]) + Number(words[12])) / ticksPerSecond
  } catch {
    return 0
  }
}

function unreadable(problem: string): VggError {
  const message = `Expected an HDF5 file that can be read: ${problem}; is it damaged or truncated? Copy or download it again`
  return new VggError('FILE_FORMAT', message)
}

function missing(reason: string): VggError {
  const message = `Reading HDF5 files (.h5) needs the package h5wasm: npm install h5wasm (${reason})`
  return new VggError('MISSING_TOOL', message)
}
