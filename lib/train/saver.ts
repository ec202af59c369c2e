import path from 'node:path'
import { bestName, checkpointsIn, removeOld, setAside, stepName, tidy } from '../checkpoint/checkpoint-folder.js'
import { type Arrays, describeNetwork, encodeTraining, readArrays, shapesOf } from '../checkpoint/training-file.js'
import { VggError } from '../error.js'
import { linkAtomically, makeFolder, writeAtomically } from '../files/atomic-file.js'
import { type FolderLock, lockFolder } from '../files/folder-lock.js'
import type { Network } from '../network/network.js'
import type { Callback } from '../options.js'
import type { CheckpointEvent } from './events.js'
import type { CheckpointSettings } from './options.js'
import { encodeState, type TrainingState } from './training-state.js'

type Saved = Callback<[event: CheckpointEvent]>

/**
 * Links the best checkpoint if the process was killed between writing and linking it.
 * @returns path of the checkpoint that the training continues from; undefined if it is in another folder
 */
async function completeBest(folder: string, { step, best }: TrainingState): Promise<string | undefined> {
  const from = (await checkpointsIn(folder)).find((found) => found.step === step)?.path
  if (best?.step === step && from !== undefined) await linkAtomically(from, path.join(folder, bestName))
  return from
}

/** Writes the checkpoints of one training, one at a time, while the training continues. */
export class Saver {
  readonly #settings: CheckpointSettings
  readonly #lock: FolderLock
  readonly #onCheckpoint: Saved | undefined
  #writing: Promise<void> = Promise.resolve()
  /** Encoded state of the last save. */
  #text: string | undefined
  #savedAt = performance.now()
  #last: string | undefined
  #failure: { readonly error: unknown } | undefined
  /** The error of `onCheckpoint`, until it is thrown: the checkpoint is on disk, and further ones can be written. */
  #refusal: { readonly error: unknown } | undefined

  private constructor(settings: CheckpointSettings, lock: FolderLock, onCheckpoint: Saved | undefined) {
    this.#settings = settings
    this.#lock = lock
    this.#onCheckpoint = onCheckpoint
  }

  /**
   * Locks the folder for a training.
   * @param resumed state that the training continues from: later checkpoints are set aside
   * @throws FOLDER_IN_USE, FILE_WRITE; INVALID_ARGUMENT if a new training finds checkpoints of another one
   */
  static async open(
    settings: CheckpointSettings,
    resumed: TrainingState | undefined,
    onCheckpoint: Saved | undefined,
  ): Promise<Saver> {
    const { folder } = settings
    await makeFolder(folder)
    const lock = await lockFolder(folder)
    try {
      const [newest] = await checkpointsIn(folder)
      if (resumed === undefined && newest !== undefined) {
        const message = `Expected no checkpoints of another training in ${folder} but found ${path.basename(newest.path)}`
        throw new VggError('INVALID_ARGUMENT', `${message}; resume it, or take another folder`)
      }
      await tidy(folder)
      const saver = new Saver(settings, lock, onCheckpoint)
      if (resumed === undefined) return saver
      await setAside(folder, resumed.step)
      saver.#last = await completeBest(folder, resumed)
      return saver
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** Whether a checkpoint is due, by steps or by time. */
  isDue(step: number): boolean {
    const { everySteps, everyMinutes } = this.#settings
    return step % everySteps === 0 || performance.now() - this.#savedAt >= everyMinutes * 60_000
  }

  /** The error of a failed save, if there is one. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  /** Throws the error of a failed save, or once that of `onCheckpoint`. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
    const refusal = this.#refusal
    this.#refusal = undefined
    if (refusal !== undefined) throw refusal.error
  }

  /**
   * Starts a save after the preceding one is done, and queues the reads of the arrays: later steps do not affect them.
   * @param state state at the time of the call, with no step in flight
   */
  async save(net: Network, state: TrainingState, best: boolean): Promise<void> {
    await this.settled()
    const record = encodeState(state)
    if (record.state === this.#text && !best) return
    this.#text = record.state
    const started = performance.now()
    const described = describeNetwork(net)
    const reads = readArrays(net)
    const write = async (): Promise<void> => {
      const arrays: Arrays = await reads
      const parts = await encodeTraining(described, shapesOf(net), arrays, record)
      await this.#write(parts, state, best, started)
    }
    this.#savedAt = started
    this.#writing = write().catch((error) => {
      this.#failure = { error }
    })
  }

  async #write(parts: Uint8Array[], state: TrainingState, best: boolean, started: number): Promise<void> {
    const { folder, keep, before } = this.#settings
    const file = path.join(folder, stepName(state.step))
    await before?.()
    await this.#lock.check()
    await writeAtomically(file, parts)
    this.#last = file
    if (best) await linkAtomically(file, path.join(folder, bestName))
    await removeOld(folder, state.step, keep)
    const seconds = (performance.now() - started) / 1000
    try {
      await this.#onCheckpoint?.({ path: file, step: state.step, epochsDone: state.epochsDone, best, seconds })
    } catch (error) {
      this.#refusal = { error }
    }
  }

  /** Waits until no save is running. @throws as `throwIfFailed` */
  async settled(): Promise<void> {
    await this.#writing
    this.throwIfFailed()
  }

  /** Path of the last checkpoint on disk. */
  get last(): string | undefined {
    return this.#last
  }

  /** Waits for a running save, and unlocks the folder. */
  async close(): Promise<void> {
    await this.#writing
    await this.#lock.release()
  }
}
