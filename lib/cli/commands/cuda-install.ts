import { existsSync, statfsSync } from 'node:fs'
import path from 'node:path'
import pc from 'picocolors'
import { VggError } from '../../error.js'
import { cachedLibraries } from '../../platform/cuda/cached.js'
import { cacheFolder, folderOf } from '../../platform/wheels/cache.mjs'
import { bytesHere, type Watching } from '../../platform/wheels/fetch.mjs'
import { folderSource, installPin, pipSource, type Source } from '../../platform/wheels/install.mjs'
import { cudaLibraryFiles, cudaPins, type Pin, pins, wheelBytes } from '../../platform/wheels/pins.mjs'
import { checkPrivate } from '../../platform/wheels/private.mjs'
import { checkPlatform, WheelProblem } from '../../platform/wheels/problem.mjs'
import { countedText } from '../../table.js'
import { durationText } from '../../train/log.js'
import { stoppable } from '../terminal/exit.js'
import { print, printJson } from '../terminal/print.js'
import { installProgressOn, sizeText } from '../terminal/progress.js'

export interface InstallFlags {
  from?: string
  manual?: true
  json?: true
}

/** A pinned library, and its state in the cache. */
interface Wanted {
  name: string
  pin: Pin
  folder: string
  there: boolean
  /** Bytes still to be fetched. */
  bytes: number
}

/** Output of `vggnet cuda install --json`. */
interface Installed {
  cache: string
  seconds: number
  /** Installed libraries. `fetched` is false for a library that was already there. */
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

/** Peak of additional bytes on the disk: each wheel is deleted after it is unpacked. */
function bytesNeeded(wanted: readonly Wanted[], wheelsLieElsewhere: boolean): number {
  let [kept, most] = [0, 0]
  for (const { pin, bytes } of wanted.filter(({ there }) => !there)) {
    most = Math.max(most, kept + (wheelsLieElsewhere ? 0 : bytes) + pin.unpackedBytes)
    kept += pin.unpackedBytes - (wheelsLieElsewhere ? 0 : wheelBytes(pin) - bytes)
  }
  return most
}

/**
 * Checks that the disk has enough free space.
 * @returns free bytes
 * @throws VggError FILE_WRITE
 */
function checkSpace(cache: string, needed: number): number {
  let folder = cache
  while (!existsSync(folder)) folder = path.dirname(folder)
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= needed) return free
  throw new VggError(
    'FILE_WRITE',
    `Expected ${sizeText(needed)} of free disk for ${cache} but there are ${sizeText(free)}: free some, or set ` +
      'VGGNET_CACHE to a folder on another disk',
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
    const size = one.there ? 'already installed' : `${source}; ${sizeText(one.pin.unpackedBytes)} on disk`
    return `  ${one.pin.title.padEnd(titleWidth)}${size}`
  })
  const sum = (numbers: number[]): string => sizeText(numbers.reduce((total, one) => total + one, 0))
  const disk = sum(wanted.map(({ pin, there }) => (there ? 0 : pin.unpackedBytes)))
  const fetch = from === undefined ? `${sum(wanted.map(({ bytes }) => bytes))} to fetch; ` : ''
  const all = `  ${'total'.padEnd(titleWidth)}${fetch}${disk} on disk, ${sizeText(free)} free`
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
  return `${sizeText(all - left)} of ${sizeText(all)} are kept in ${cache}: \`npx vggnet cuda install\` continues`
}

/** Runs `vggnet cuda install`. */
export async function installCuda({ from, manual, json }: InstallFlags): Promise<void> {
  const cache = cacheFolder(process.env)
  if (manual) return json ? printJson(manualOf(cache), 2) : print(manualText(manualOf(cache)))
  const started = performance.now()
  const wanted = wantedIn(cache)
  const missing = wanted.filter(({ there }) => !there)
  await withWheels(async () => {
    checkPlatform()
    checkPrivate(cache)
  })
  const free = checkSpace(cache, bytesNeeded(wanted, from !== undefined))
  if (!json && missing.length > 0) print(planLines(cache, wanted, free, from).join('\n'))
  const source = from === undefined ? pipSource(cache) : folderSource(from)
  const work = (signal: AbortSignal) => withWheels(() => installAll(cache, missing, source, signal))
  await stoppable(work, () => keptText(cache)).catch((error) => {
    // without Python, the manual is printed before the error
    const byHand = error instanceof VggError && error.code === 'MISSING_TOOL' && !json
    if (byHand) print(`\n${manualText(manualOf(cache))}`)
    throw error
  })
  // the first process that uses the libraries need not compare their contents then
  const [fault] = cachedLibraries(cache).passedOver
  if (fault !== undefined) throw new VggError('HASH_MISMATCH', fault)
  const seconds = (performance.now() - started) / 1000
  const libraries = wanted.map(({ name, pin, folder, there }) => {
    return { name, version: pin.version, folder, bytes: pin.unpackedBytes, fetched: !there }
  })
  const done: Installed = { cache, seconds, libraries }
  if (json) printJson(done, 2)
  else print(doneText(cache, missing, seconds))
}

const inUse = '`npx vggnet cuda status` shows the libraries in use.'

function doneText(cache: string, installed: readonly Wanted[], seconds: number): string {
  if (installed.length === 0) return `All libraries are already in ${cache}.\n${inUse}`
  const licences = "They are subject to NVIDIA's licences."
  const count = countedText(installed.length, 'library', 'libraries')
  return `${pc.green('Installed')} ${count} in ${durationText(seconds)}. ${licences}\n${inUse}`
}

/** Output of `vggnet cuda install --manual --json`. */
interface Manual {
  cache: string
  libraries: {
    title: string
    /** Wheels to fetch. */
    wheels: { requirement: string; file: string; bytes: number; sha256: string }[]
    /** Required files in `folder` of the wheels; a name that ends in a dot matches any version. */
    folder: string
    files: string[]
  }[]
}

/** Wheels and files for an installation by hand. */
function manualOf(cache: string): Manual {
  const libraries = cudaPins.map((name) => {
    const { title, wheels } = pins[name]
    const folder = `${wheels[0]?.take}/lib`
    return {
      title,
      wheels: wheels.map(({ requirement, file, bytes, sha256 }) => ({ requirement, file, bytes, sha256 })),
      folder,
      files: cudaLibraryFiles[name],
    }
  })
  return { cache, libraries }
}

const fileText = (name: string): string => (name.endsWith('.') ? `${name}*` : name)

/** Formats the manual. */
function manualText({ cache, libraries }: Manual): string {
  const wheels = libraries.flatMap(({ wheels }) =>
    wheels.flatMap(({ requirement, file, bytes, sha256 }) => [
      `  ${file}`,
      `    ${sizeText(bytes)}, of ${requirement}`,
      `    SHA-256 ${sha256}`,
    ]),
  )
  const files = libraries.flatMap(({ title, folder, files }) => [
    `  ${title}, from ${folder}:`,
    ...files.map((name) => `    ${fileText(name)}`),
  ])
  return [
    "To install NVIDIA's libraries by hand, fetch these wheels from a Python package",
    'index, with `pip download --no-deps NAME==VERSION` or a browser:',
    '',
    ...wheels,
    '',
    'Put them into one folder. Then this command, which needs no Python or network,',
    '',
    '  npx vggnet cuda install --from FOLDER',
    '',
    `verifies them and unpacks them into ${cache}.`,
    '',
    'Or set VGGNET_CUDA_LIBRARIES=FOLDER:FOLDER in the environment to the folders of',
    'existing libraries. All of cuDNN must be in one folder. These files are needed',
    '(a wheel is a zip file):',
    '',
    ...files,
  ].join('\n')
}

/** Runs work on wheels. Its problems become VggErrors; the output of pip goes to standard error first. */
export async function withWheels<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError')
      throw new VggError('ABORTED', 'the work on wheels was aborted', { cause: error })
    if (!(error instanceof WheelProblem)) throw error
    const colours = pc.createColors(pc.isColorSupported && process.stderr.isTTY === true)
    if (error.log !== '') print(colours.dim(error.log.trimEnd()), process.stderr)
    throw new VggError(error.code, error.message, { cause: error })
  }
}
