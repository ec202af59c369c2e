import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fetchingFiles, makeFolder, newUnfinishedFolder } from './cache.mjs'
import { fetchProgram } from './fetch-program.mjs'
import { WheelProblem, writeProblem } from './problem.mjs'
import { isolated, runPython } from './python.mjs'

/**
 * @typedef {import('./pins.mjs').Wheel} Wheel
 * @typedef {{ doing: 'fetching' | 'checking' | 'unpacking' | 'waiting' | 'trying again', bytes: number, of: number, reason?: string }} Progress
 *   with the bytes of one wheel, or of what is unpacked; `reason`: for what is waited, why again
 * @typedef {{ signal?: AbortSignal, onProgress?: (progress: Progress) => void }} Watching
 * @typedef {{ file: string, forget: () => void }} Fetched a wheel whose hash is right; `forget` when it is needed no more
 */

const cure = 'check the network (with a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and run the command again'

/** @param {string} file @param {AbortSignal} [signal] */
async function sha256Of(file, signal) {
  const hash = createHash('sha256')
  for await (const block of createReadStream(file, { signal, highWaterMark: 1 << 20 })) hash.update(block)
  return hash.digest('hex')
}

/** @param {Wheel} wheel @param {string} found @param {string} source */
const mismatch = ({ requirement, sha256 }, found, source) =>
  new WheelProblem(
    'HASH_MISMATCH',
    `Expected SHA-256 ${sha256} for ${requirement} but received ${found}: ${source}; nothing of it was kept`,
  )

const damaged = 'the download was damaged, or the package index served another file'

/**
 * @param {string} file
 * @param {Wheel} wheel
 * @param {Watching} watching
 * @returns {Promise<string>} its hash where it is not the right one, otherwise empty
 */
export async function wrongHash(file, wheel, { signal, onProgress }) {
  onProgress?.({ doing: 'checking', bytes: wheel.bytes, of: wheel.bytes })
  const found = await sha256Of(file, signal)
  return found === wheel.sha256 ? '' : found
}

/**
 * Runs the program for Python, each of its lines as an object.
 * @param {string} python
 * @param {string[]} parameters
 * @param {(line: Record<string, any>) => void} onLine
 * @param {AbortSignal} [signal] ends it; what it has received is kept
 * @returns {Promise<string>} its output on stderr
 */
async function converse(python, parameters, onLine, signal) {
  signal?.throwIfAborted()
  // detached: Ctrl-C at a terminal is for this process, which ends the other in an order that is known
  const { words, cwd } = isolated(['-c', fetchProgram, ...parameters])
  const options = { cwd, detached: true, stdio: /** @type {any} */ (['ignore', 'pipe', 'pipe']) }
  const child = spawn(python, words, options)
  const stop = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', stop)
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    log += text
  })
  if (child.stdout) createInterface(child.stdout).on('line', (line) => onLine(JSON.parse(line)))
  try {
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  } finally {
    signal?.removeEventListener('abort', stop)
  }
  signal?.throwIfAborted()
  return log
}

/** @param {Wheel} wheel @param {Record<string, any>} end @param {string} log @param {string} folder */
function failure(wheel, { absent, failed, unwritable, words }, log, folder) {
  if (unwritable) return writeProblem(folder, Object.assign(new Error(words), { code: unwritable }))
  const what = `pip could not download ${wheel.requirement}`
  if (absent?.length) {
    const there = `the package index has ${absent.slice(-5).join(', ')} of it for this Python, and not this version`
    return new WheelProblem('DOWNLOAD_FAILED', `${what}: ${there} (another index: PIP_INDEX_URL)`, log)
  }
  if (absent && !log) {
    const none = 'the package index has no wheel of that name for this Python and machine'
    return new WheelProblem('DOWNLOAD_FAILED', `${what}: ${none} (another index: PIP_INDEX_URL)`, log)
  }
  return new WheelProblem('DOWNLOAD_FAILED', `${what}${failed ? `: ${failed}` : ''}: ${cure}`, log)
}

/**
 * `pip download`, whole or not at all: for a pip that the program does not know.
 * @param {string} python
 * @param {Wheel} wheel
 * @param {string} cache
 * @param {string} target
 * @param {AbortSignal} [signal]
 */
async function downloadByPip(python, wheel, cache, target, signal) {
  const folder = newUnfinishedFolder(cache)
  try {
    const words = ['--no-deps', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--no-cache-dir']
    const parameters = [
      '-m',
      'pip',
      'download',
      ...words,
      ...(wheel.options ?? []),
      '--dest',
      folder,
      wheel.requirement,
    ]
    const { ok, output } = await runPython(python, parameters, { signal })
    signal?.throwIfAborted()
    const [file] = ok ? readdirSync(folder).filter((name) => name.endsWith('.whl')) : []
    if (!file) throw failure(wheel, {}, output, folder)
    renameSync(path.join(folder, file), target)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Makes `part` whole, or finds the wheel on this machine.
 * @param {Wheel} wheel
 * @param {{ cache: string, python: string, part: string } & Watching} how
 * @returns {Promise<string>} where it is
 */
async function receive(wheel, { cache, python, part, signal, onProgress }) {
  /** @type {Record<string, any>} */
  let last = {}
  const words = [wheel.requirement, wheel.sha256, part, ...(wheel.options ?? [])]
  const log = await converse(
    python,
    words,
    (line) => {
      last = line
      const bytes = line.at ?? 0
      if ('at' in line) onProgress?.({ doing: 'fetching', bytes, of: line.of ?? wheel.bytes })
      if ('again' in line) onProgress?.({ doing: 'trying again', bytes, of: wheel.bytes, reason: line.again })
    },
    signal,
  )
  if ('local' in last) return last.local
  if ('whole' in last) return part
  if (last.hash && last.hash !== wheel.sha256) throw mismatch(wheel, last.hash, 'the package index offers another file')
  if (!('unable' in last)) throw failure(wheel, last, log, cache)
  await downloadByPip(python, wheel, cache, part, signal)
  return part
}

/**
 * A wheel, fetched through pip; a part of it that an earlier call has left is gone on with, and so is a later call with what
 * this one leaves when it is ended, killed or cut off.
 * @param {Wheel} wheel
 * @param {{ cache: string, python: string } & Watching} how
 * @returns {Promise<Fetched>}
 * @throws WheelProblem
 */
export async function fetchWheel(wheel, how) {
  makeFolder(how.cache)
  const { whole, part } = fetchingFiles(how.cache, wheel)
  const forget = () => rmSync(whole, { force: true })
  if (existsSync(whole)) {
    if ((await wrongHash(whole, wheel, how)) === '') return { file: whole, forget }
    forget()
  }
  // a crash of the machine can leave a damaged part: then again, from its start
  for (let resumed = partBytes(part) > 0; ; resumed = false) {
    const file = await receive(wheel, { ...how, part })
    const wrong = await wrongHash(file, wheel, how)
    if (file !== part && wrong === '') return { file, forget: () => undefined }
    if (wrong === '') {
      renameSync(part, whole)
      return { file: whole, forget }
    }
    if (file === part) rmSync(part)
    if (!resumed) throw mismatch(wheel, wrong, damaged)
  }
}

/** @param {string} part */
const partBytes = (part) => statSync(part, { throwIfNoEntry: false })?.size ?? 0

/** The bytes of a wheel that are here already. @param {string} cache @param {Wheel} wheel */
export function bytesHere(cache, wheel) {
  const { whole, part } = fetchingFiles(cache, wheel)
  return partBytes(whole) || partBytes(part)
}
