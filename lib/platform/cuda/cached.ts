import { createHash } from 'node:crypto'
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../../error.js'
import { isKnown, remember } from '../load/binary-check.js'
import { folderOf } from '../wheels/cache.mjs'
import { cudaPins, type Pin, type PinnedFile, pins } from '../wheels/pins.mjs'
import { cacheExposure, exposureOf } from '../wheels/private.mjs'

const blockBytes = 1 << 20

/** SHA-256 of a file, a block at a time: the largest has 542 MB. */
function sha256Of(file: string): string {
  const opened = openSync(file, 'r')
  try {
    const hash = createHash('sha256')
    const block = Buffer.alloc(blockBytes)
    for (let read = readSync(opened, block); read > 0; read = readSync(opened, block))
      hash.update(block.subarray(0, read))
    return hash.digest('hex')
  } finally {
    closeSync(opened)
  }
}

const replaced = '`npx vggnet cuda remove` and then `npx vggnet cuda install` replaces it'

/** A library file and what the pin says about it. */
type Pinned = readonly [file: string, pinned: PinnedFile]

function formFault([file, { bytes }]: Pinned): string {
  const { size } = lstatSync(file)
  return exposureOf(file) || (size === bytes ? '' : `${file} has ${size} bytes instead of ${bytes}: ${replaced}`)
}

function contentFault([file, { sha256 }]: Pinned): string {
  return sha256Of(file) === sha256 ? '' : `${file} is not the file that NVIDIA published: ${replaced}`
}

/** The first fault that a check finds. */
const firstFault = <T>(items: readonly T[], check: (item: T) => string): string => {
  for (const item of items) {
    const fault = check(item)
    if (fault !== '') return fault
  }
  return ''
}

/** Changes when a file is rewritten, also by a program that resets its time. */
function stateOf([file]: Pinned): string {
  const { size, mtimeMs, ctimeMs, ino } = lstatSync(file)
  return `${path.basename(file)} ${size} ${mtimeMs} ${ctimeMs} ${ino}`
}

/** Why the libraries in a folder of the cache must not be opened; '' if they may be. */
function faultIn(folder: string, files: Readonly<Record<string, PinnedFile>>): string {
  const libraries = path.join(folder, 'lib')
  const exposure = firstFault([folder, libraries], exposureOf)
  if (exposure !== '') return exposure
  const other = readdirSync(libraries).find((name) => !Object.hasOwn(files, name))
  if (other !== undefined) return `${path.join(libraries, other)} is no file of NVIDIA's package: ${replaced}`
  const pinned = Object.entries(files).map(([name, file]): Pinned => [path.join(libraries, name), file])
  const form = firstFault(pinned, formFault)
  if (form !== '') return form
  // Reading 1 GB takes seconds, so the contents are compared once. Only this user and root can change the files, or the record.
  const state = pinned.map(stateOf).join('\n')
  if (isKnown(folder, state)) return ''
  const content = firstFault(pinned, contentFault)
  if (content === '') remember(folder, state)
  return content
}

/**
 * The folders of the cache that hold NVIDIA's libraries as they are pinned, and why others are not used. A folder of another
 * name or version is not looked at.
 * @param pinned the pins; tests pass their own
 */
export function cachedLibraries(cache: string, pinned: Readonly<Record<string, Pin>> = cudaPinned) {
  const [folders, passedOver]: [string[], string[]] = [[], []]
  for (const [name, pin] of Object.entries(pinned)) {
    const folder = folderOf(cache, name, pin)
    if (!existsSync(folder)) continue
    let fault: string
    try {
      fault = cacheExposure(cache) || faultIn(folder, pin.libraries ?? {})
    } catch (error) {
      fault = `${folder} cannot be examined (${messageOf(error)}): ${replaced}`
    }
    if (fault === '') folders.push(path.join(folder, 'lib'))
    else if (!passedOver.includes(fault)) passedOver.push(fault)
  }
  return { folders, passedOver }
}

const cudaPinned = Object.fromEntries(cudaPins.map((name) => [name, pins[name]]))
