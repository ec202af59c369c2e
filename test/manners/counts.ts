import { isWhole } from '../setup/amount.js'

/** How often each manner is tried: `npm run test:long` tries the whole, `npm test` a sample. */
interface Counts {
  /** Work to work once, how often before resident memory is read first, and how often then; the growth allowed. */
  readonly memory: readonly { work: string; warm: number; count: number; percent: number }[]
  /** Terminations of a worker thread in the midst of each of these works. */
  readonly terminations: number
  readonly terminated: readonly string[]
  /** Times that eight worker threads load the package at once. */
  readonly loads: number
  /** Random moments at which a process ends, of each way, work and position. */
  readonly moments: number
  /** Works whose processes are ended, and where they are done unless there is one position only. */
  readonly ended: readonly string[]
  readonly positions: readonly string[]
  /** Works that must leak nothing in the debug build, and those in whose midst threads are terminated there. */
  readonly leaks: { readonly done: readonly string[]; readonly terminated: readonly string[] }
}

// A sample's process is young: what V8 and malloc keep for themselves still comes to a few megabytes in a hundred.
const sample: Counts = {
  memory: [
    { work: 'step', warm: 200, count: 500, percent: 6 },
    { work: 'create and drop', warm: 200, count: 300, percent: 8 },
    { work: 'other batch sizes', warm: 80, count: 80, percent: 6 },
  ],
  terminations: 2,
  terminated: ['step', 'create', 'decode'],
  loads: 1,
  moments: 1,
  ended: ['step'],
  positions: ['main'],
  leaks: { done: ['create and drop', 'decode'], terminated: ['step'] },
}

const whole: Counts = {
  memory: [
    { work: 'step', warm: 3_000, count: 10_000, percent: 2 },
    { work: 'forward', warm: 3_000, count: 10_000, percent: 2 },
    { work: 'create', warm: 3_000, count: 10_000, percent: 2 },
    { work: 'create and forward', warm: 3_000, count: 10_000, percent: 2 },
    { work: 'create and drop', warm: 3_000, count: 10_000, percent: 2 },
    { work: 'other batch sizes', warm: 1_000, count: 2_000, percent: 2 },
    { work: 'tensors', warm: 3_000, count: 10_000, percent: 2 },
    { work: 'save and load', warm: 500, count: 1_000, percent: 2 },
    { work: 'train', warm: 500, count: 1_000, percent: 2 },
    { work: 'decode', warm: 1_000, count: 2_500, percent: 2 },
  ],
  terminations: 100,
  terminated: ['step', 'forward', 'create', 'save', 'decode', 'train'],
  loads: 10,
  moments: 10,
  ended: ['step', 'forward', 'create', 'train', 'save', 'decode'],
  positions: ['main', 'worker'],
  leaks: {
    done: ['create', 'create and forward', 'create and drop', 'step', 'save and load', 'train', 'decode'],
    terminated: ['step', 'forward', 'create', 'save', 'decode', 'train'],
  },
}

export const counts = isWhole ? whole : sample
