import path from 'node:path'
import { SingleBar } from 'cli-progress'
import pc from 'picocolors'
import type { Progress as Installing } from '../../platform/wheels/fetch.mjs'
import { columnsOf, printable, shortened } from '../../table.js'
import { barSize, durationText } from '../../train/log.js'
import type { VGG } from '../../vgg/vgg.js'
import { type LoadOptions, load } from '../../weights/load.js'

/** Progress of slow work on a terminal; nothing is shown elsewhere. */
export interface Waiting {
  /** Shows progress. @param of number of parts; undefined where the work has none */
  update(label: string, done?: number, of?: number): void
  end(): void
}

/** Milliseconds before the bar is shown. */
const patience = 300

export function waitingOn(stream: NodeJS.WriteStream): Waiting {
  if (!stream.isTTY) return { update() {}, end() {} }
  const start = performance.now()
  const format = `${pc.cyan('{bar}')} {text}`
  const barsize = barSize(stream)
  const bar = new SingleBar({ format, stream, barsize, clearOnComplete: true, fps: 8, gracefulExit: false })
  let shown = false
  return {
    update(label, done, of) {
      if (performance.now() - start < patience) return
      const count = of === undefined ? '' : ` ${done} of ${of}`
      const payload = { text: shortened(label, columnsOf(stream) - barsize - count.length - 1) + count }
      if (shown) bar.setTotal(of ?? 1)
      else bar.start(of ?? 1, 0, payload)
      shown = true
      bar.update(done ?? 0, payload)
    },
    end() {
      if (shown) bar.stop()
      shown = false
    },
  }
}

/** Bytes of a source of weights from which on a bar is shown: smaller ones are read in a moment. */
const slow = 50e6

/** Loads a network from a source of weights, with a bar on a terminal. */
export const loadShown = (source: string, options: LoadOptions): Promise<VGG> =>
  readingShown(source, (shown) => load(source, { ...options, ...shown }))

/** Does work that reads a source of weights, with a bar on a terminal. */
export async function readingShown<T>(
  source: string,
  work: (options: Pick<LoadOptions, 'onProgress'>) => Promise<T>,
): Promise<T> {
  if (!process.stderr.isTTY) return work({})
  const progress = installProgressOn(process.stderr)
  const title = path.basename(source)
  try {
    return await work({
      onProgress: (done) => {
        if (done.of >= slow) progress.update(title, done)
      },
    })
  } finally {
    progress.end()
  }
}

/** Progress of an installation. */
export interface InstallProgress {
  /** Shows progress. @param title title of the library that is installed */
  update(title: string, progress: Progress): void
  /** Removes the bar. */
  end(): void
}

/** Progress of an installation, or of reading a file. */
type Progress = Omit<Installing, 'doing'> & { doing: Installing['doing'] | 'reading' }

const every = 10_000

/** A size in decimal units: `366 MB`, `1.04 GB`. */
export function sizeText(bytes: number): string {
  const [amount, unit] = bytes < 1e9 ? [bytes / 1e6, 'MB'] : [bytes / 1e9, 'GB']
  return `${amount.toFixed(amount < 10 ? 2 : amount < 100 ? 1 : 0)} ${unit}`
}

const whole = (bytes: number): string => (bytes / 1e6).toFixed(0)

/**
 * Text of the progress.
 * @param speed bytes per second; 0: not known yet
 */
function words(name: string, { doing, bytes, of, reason }: Progress, speed: number): string {
  const title = printable(name)
  if (doing === 'waiting') return `${title}: waiting ${reason}`
  if (doing === 'trying again') return `${title}: trying again, ${printable(reason ?? '')}`
  const share = `${title}: ${doing === 'fetching' ? '' : `${doing} `}${whole(bytes)} of ${whole(of)} MB`
  if (doing !== 'fetching' || speed === 0) return share
  return `${share}, ${(speed / 1e6).toFixed(1)} MB/s, ${durationText((of - bytes) / speed)} left`
}

/** Measures the speed of the last 5 seconds in bytes per second, without bytes of earlier installs. */
function speedometer(): (progress: Progress) => number {
  let marks: { time: number; bytes: number }[] = []
  return ({ doing, bytes }) => {
    const time = performance.now()
    const last = marks.at(-1)
    if (doing !== 'fetching' || (last !== undefined && bytes < last.bytes)) marks = []
    marks = [...marks.filter((mark) => time - mark.time < 5000), { time, bytes }]
    const [first] = marks
    if (first === undefined || time - first.time < 300) return 0
    return (1000 * (bytes - first.bytes)) / (time - first.time)
  }
}

/** Shows a bar where `stream` is a terminal, otherwise a line at each change and every ten seconds. */
export function installProgressOn(stream: NodeJS.WriteStream): InstallProgress {
  return stream.isTTY ? barOn(stream) : linesOn(stream)
}

function linesOn(stream: NodeJS.WriteStream): InstallProgress {
  const speed = speedometer()
  let [printed, before] = [-every, '']
  return {
    update(title, progress) {
      const now = speed(progress)
      const what = `${title} ${progress.doing} ${progress.reason ?? ''}`
      if (what === before && performance.now() - printed < every) return
      printed = performance.now()
      before = what
      stream.write(`${words(title, progress, now)}\n`)
    },
    end() {},
  }
}

function barOn(stream: NodeJS.WriteStream): InstallProgress {
  const speed = speedometer()
  const barsize = barSize(stream)
  const options = { barsize, barCompleteChar: '\u2588', barIncompleteChar: '\u2591', clearOnComplete: true }
  const format = `${pc.cyan('{bar}')} {text}`
  const bar = new SingleBar({ ...options, format, stream, fps: 8, gracefulExit: false, hideCursor: true })
  let shown = false
  return {
    update(title, progress) {
      const payload = { text: shortened(words(title, progress, speed(progress)), columnsOf(stream) - barsize - 1) }
      const total = Math.max(1, progress.of)
      if (shown) bar.setTotal(total)
      else bar.start(total, 0, payload)
      shown = true
      bar.update(progress.bytes, payload)
    },
    end() {
      if (shown) bar.stop()
      shown = false
    },
  }
}
