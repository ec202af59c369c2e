import { existsSync, statfsSync } from 'node:fs'
import path from 'node:path'
import pc from 'picocolors'
import { VggError } from '../../error.js'
import { cacheFolder, folderOf } from '../../platform/wheels/cache.mjs'
import { bytesHere, type Watching } from '../../platform/wheels/fetch.mjs'
import { folderSource, installPin, pipSource, type Source } from '../../platform/wheels/install.mjs'
import { cudaPins, type Pin, pins, wheelBytes } from '../../platform/wheels/pins.mjs'
import { checkPlatform } from '../../platform/wheels/problem.mjs'
import { countedText } from '../../table.js'
import { durationText } from '../../train/log.js'
import { stoppable } from '../terminal/stopping.js'
import { manualOf, manualText } from './manual.js'
import { installProgressOn, sizeText } from './progress.js'
import { withWheels } from './wheel-failure.js'

export interface InstallFlags {
  from?: string
  manual?: true
  json?: true
}

/** A pin, and what the cache has of it. */
interface Wanted {
  name: string
  pin: Pin
  folder: string
  there: boolean
  /** Still to be fetched. */
  bytes: number
}

/** What `vggnet cuda install --json` prints. */
interface Installed {
  cache: string
  seconds: number
  /** `fetched`: now; otherwise it was there. */
  libraries: { name: string; version: string; folder: string; bytes: number; fetched: boolean }[]
}

function wantedIn(cache: string): Wanted[] {
  return cudaPins.map((name) => {
    const pin: Pin = pins[name]
    const folder = folderOf(cache, name, pin)
    const there = existsSync(folder)
    const here = pin.wheels.reduce((sum, wheel) => sum + Math.min(bytesHere(cache, wheel), wheel.bytes), 0)
    return { name, pin, folder, there, bytes: there ? 0 : wheelBytes(pin) - here }
  })
}

/** The most that the disk has to hold at a time beside what it holds now: each wheel goes when it is unpacked. */
function bytesNeeded(wanted: readonly Wanted[], wheelsLieElsewhere: boolean): number {
  let [kept, most] = [0, 0]
  for (const { pin, bytes } of wanted.filter(({ there }) => !there)) {
    most = Math.max(most, kept + (wheelsLieElsewhere ? 0 : bytes) + pin.unpackedBytes)
    kept += pin.unpackedBytes - (wheelsLieElsewhere ? 0 : wheelBytes(pin) - bytes)
  }
  return most
}

/** @throws FILE_WRITE where the disk has too little */
function checkSpace(cache: string, needed: number): number {
  let position = cache
  while (!existsSync(position)) position = path.dirname(position)
  const { bavail, bsize } = statfsSync(position)
  const free = bavail * bsize
  if (free >= needed) return free
  throw new VggError(
    'FILE_WRITE',
    `Expected ${sizeText(needed)} of free disk for ${cache} but there are ${sizeText(free)}: make room there, or name ` +
      'a folder on another disk with VGGNET_CACHE',
  )
}

const titleWidth = 17

function toFetch({ pin, bytes }: Wanted): string {
  const whole = wheelBytes(pin)
  if (bytes === whole) return `${sizeText(whole)} to fetch`
  return bytes === 0 ? `${sizeText(whole)} fetched` : `${sizeText(bytes)} of ${sizeText(whole)} to fetch`
}

function planLines(cache: string, wanted: readonly Wanted[], free: number, from: string | undefined): string[] {
  const lines = wanted.map((one) => {
    const source = from === undefined ? toFetch(one) : `from ${from}`
    const size = one.there ? 'is there' : `${source}; ${sizeText(one.pin.unpackedBytes)} on disk`
    return `  ${one.pin.title.padEnd(titleWidth)}${size}`
  })
  const sum = (numbers: number[]): string => sizeText(numbers.reduce((total, one) => total + one, 0))
  const disk = sum(wanted.map(({ pin, there }) => (there ? 0 : pin.unpackedBytes)))
  const fetch = from === undefined ? `${sum(wanted.map(({ bytes }) => bytes))} to fetch; ` : ''
  const all = `  ${'together'.padEnd(titleWidth)}${fetch}${disk} on disk, ${sizeText(free)} free`
  return [`NVIDIA's libraries, into ${cache}:`, ...lines, all]
}

async function installAll(
  cache: string,
  wanted: readonly Wanted[],
  source: Source,
  signal: AbortSignal,
): Promise<void> {
  const progress = installProgressOn(process.stderr)
  try {
    for (const { name, pin } of wanted) {
      const watching: Watching = { signal, onProgress: (found) => progress.update(pin.title, found) }
      await installPin({ cache, name, pin, source, ...watching })
    }
  } finally {
    progress.end()
  }
}

function keptText(cache: string): string {
  const wanted = wantedIn(cache)
  const left = wanted.reduce((sum, { bytes }) => sum + bytes, 0)
  const all = wanted.reduce((sum, { pin }) => sum + wheelBytes(pin), 0)
  return `${sizeText(all - left)} of ${sizeText(all)} are kept in ${cache}: \`npx vggnet cuda install\` goes on`
}

/** `vggnet cuda install`. */
export async function installCuda({ from, manual, json }: InstallFlags): Promise<void> {
  const cache = cacheFolder(process.env)
  if (manual) return console.log(json ? JSON.stringify(manualOf(cache), null, 2) : manualText(manualOf(cache)))
  const started = performance.now()
  const wanted = wantedIn(cache)
  const missing = wanted.filter(({ there }) => !there)
  await withWheels(async () => checkPlatform())
  const free = checkSpace(cache, bytesNeeded(wanted, from !== undefined))
  if (!json && missing.length > 0) console.log(planLines(cache, wanted, free, from).join('\n'))
  const source = from === undefined ? pipSource(cache) : folderSource(from)
  const work = (signal: AbortSignal) => withWheels(() => installAll(cache, missing, source, signal))
  await stoppable(work, () => keptText(cache)).catch((error) => {
    // without Python: what to do by hand comes before the one line of the error
    const byHand = error instanceof VggError && error.code === 'MISSING_TOOL' && !json
    if (byHand) console.log(`\n${manualText(manualOf(cache))}`)
    throw error
  })
  const seconds = (performance.now() - started) / 1000
  const libraries = wanted.map(({ name, pin, folder, there }) => {
    return { name, version: pin.version, folder, bytes: pin.unpackedBytes, fetched: !there }
  })
  const done: Installed = { cache, seconds, libraries }
  console.log(json ? JSON.stringify(done, null, 2) : doneText(cache, missing, seconds))
}

const inUse = 'What is in use: `npx vggnet cuda status`'

function doneText(cache: string, installed: readonly Wanted[], seconds: number): string {
  if (installed.length === 0) return `All is in ${cache} already.\n${inUse}`
  const licences = "They are NVIDIA's, under NVIDIA's licences."
  const count = countedText(installed.length, 'library', 'libraries')
  return `${pc.green('Installed')} ${count} in ${durationText(seconds)}. ${licences}\n${inUse}`
}
