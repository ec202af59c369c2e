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
 *   `bytes` and `of` count the bytes of one wheel, or of the unpacked files; `reason`: the reason for waiting or trying again
 * @typedef {{ signal?: AbortSignal, onProgress?: (progress: Progress) => void }} Watching
 * @typedef {{ file: string, forget: () => void }} Fetched a verified wheel; `forget` removes it if it is temporary
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
    `Expected SHA-256 ${sha256} for ${requirement} but received ${found}: ${source}; nothing was kept`,
  )

const damaged = 'the download was damaged, or the package index served another file'

/**
 * @param {string} file
 * @param {Wheel} wheel
 * @param {Watching} watching
 * @returns {Promise<string>} the SHA-256 of the file if it is wrong, otherwise ''
 */
export async function wrongHash(file, wheel, { signal, onProgress }) {
  onProgress?.({ doing: 'checking', bytes: wheel.bytes, of: wheel.bytes })
  const found = await sha256Of(file, signal)
  return found === wheel.sha256 ? '' : found
}

/**
 * Runs the Python program and passes each line of its output as an object.
 * @param {string} python
 * @param {string[]} parameters
 * @param {(line: Record<string, any>) => void} onLine
 * @param {AbortSignal} [signal] ends the program; the bytes received are kept
 * @returns {Promise<string>} its stderr
 */
async function converse(python, parameters, onLine, signal) {
  signal?.throwIfAborted()
  // detached: Ctrl-C at a terminal reaches this process only, which then ends the other
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
    const there = `the package index has only ${absent.slice(-5).join(', ')} for this Python`
    return new WheelProblem('DOWNLOAD_FAILED', `${what}: ${there} (another index: PIP_INDEX_URL)`, log)
  }
  if (absent && !log) {
    const none = 'the package index has no wheel of that name for this Python and machine'
    return new WheelProblem('DOWNLOAD_FAILED', `${what}: ${none} (another index: PIP_INDEX_URL)`, log)
  }
  return new WheelProblem('DOWNLOAD_FAILED', `${what}${failed ? `: ${failed}` : ''}: ${cure}`, log)
}

/**
 * Runs `pip download`, which does not resume. For a pip whose internals the Python program does not know.
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
 * Completes the download `part`, or finds the wheel on this machine.
 * @param {Wheel} wheel
 * @param {{ cache: string, python: string, part: string } & Watching} how
 * @returns {Promise<string>} the path of the wheel
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
 * Fetches a wheel through pip. A download that was aborted, killed or cut off is kept, and the next call continues it.
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
  // a crash of the machine can damage a partial download, which is then fetched again from the start
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

/** Returns how many bytes of a wheel have been fetched. @param {string} cache @param {Wheel} wheel */
export function bytesHere(cache, wheel) {
  const { whole, part } = fetchingFiles(cache, wheel)
  return partBytes(whole) || partBytes(part)
}
