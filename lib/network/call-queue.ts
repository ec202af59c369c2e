import { AsyncLocalStorage } from 'node:async_hooks'
import { VggError } from '../error.js'
import type { NativeNetwork } from '../platform/native.js'
import { copyOfCall } from './arguments.js'

/** The queue whose task waits for a function of the user. */
const waitsFor = new AsyncLocalStorage<CallQueue>()

/**
 * Executes a network's calls in the order in which they were made. The native side orders single calls; here calls wait
 * while a task of several native calls is running.
 */
export class CallQueue {
  readonly #name: string
  #native: NativeNetwork | undefined
  #waiting: (() => void)[] | undefined

  /** @param name name of the network in the error after disposal */
  constructor(native: NativeNetwork, name: string) {
    this.#native = native
    this.#name = name
  }

  /** The native network. @throws DISPOSED */
  get native(): NativeNetwork {
    if (this.#native === undefined)
      throw new VggError('DISPOSED', `${this.#name} was disposed: call dispose() after its last use`)
    return this.#native
  }

  /** Makes one native call: at once, or after the running task, and then with a copy of its argument made now. */
  call<A, R>(argument: A, run: (native: NativeNetwork, argument: A) => Promise<R>): Promise<R> {
    const { native } = this
    if (this.#waiting === undefined) return run(native, argument)
    const copy = copyOfCall(argument)
    return this.#later(() => this.call(copy, run))
  }

  /** Runs a task of several native calls, without other calls in between. */
  together<R>(task: (native: NativeNetwork) => Promise<R>): Promise<R> {
    const { native } = this
    if (this.#waiting !== undefined) return this.#later(() => this.together(task))
    this.#waiting = []
    return this.#run(() => task(native))
  }

  /** Calls a function of the user within a task. The calls of it to this network, which would wait for each other, throw STATE. */
  callback<R>(run: () => R): R {
    return waitsFor.run(this, run)
  }

  /** Frees the native memory; waiting calls reject with DISPOSED. */
  dispose(): void {
    this.#native?.dispose()
    this.#native = undefined
  }

  async #run<R>(task: () => Promise<R>): Promise<R> {
    try {
      return await task()
    } finally {
      const waiting = this.#waiting ?? []
      this.#waiting = undefined
      // a task among them makes later ones wait again, in order
      for (const start of waiting) start()
    }
  }

  #later<R>(start: () => Promise<R>): Promise<R> {
    if (waitsFor.getStore() === this)
      throw new VggError(
        'STATE',
        `${this.#name} waits for this function and cannot be called in it: use the values that it is given`,
      )
    return new Promise((resolve, reject) => {
      // executed by #run; start may throw DISPOSED
      this.#waiting?.push(() => {
        try {
          start().then(resolve, reject)
        } catch (error) {
          reject(error)
        }
      })
    })
  }
}
