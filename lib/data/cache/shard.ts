import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, rename, rm, unlink } from 'node:fs/promises'
import { endianness } from 'node:os'
import path from 'node:path'
// No named import: if Node lacks crc32, lib/platform/load/node-check.ts reports it, not the linker.
import zlib from 'node:zlib'
import { withEnd } from '../../error.js'
import { takeLock } from '../../files/file-lock.js'
import { closeRead, filled, openRegularFile } from '../../files/regular-file.js'
import type { PixelSize } from '../images/crop.js'

// The format of a shard file:
//   offset 0   8 bytes   the letters VGGSHARD
//   offset 8   32 bytes  SHA-256 of the table
//   offset 40  n x 48    the table, float64: offset of the first byte; height, width; height, width before rescaling; CRC-32
//   then the images, uint8 [height, width, channels], in the order of the table
// An image that is not cached has height 0. The table has the byte order of the machine.

const letters = Buffer.from('VGGSHARD')
const headBytes = 40
const columns = 6

/** A decoded image. */
export interface ShardImage extends PixelSize {
  /** The pixels: uint8 [height, width, channels]. */
  readonly pixels: Uint8Array
  /** Size before rescaling. */
  readonly original: PixelSize
}

/** The row of an image in the table of a shard. */
export interface ShardEntry extends PixelSize {
  /** Size before rescaling. */
  readonly original: PixelSize
  /** Offset of the first byte in the file. */
  readonly start: number
  /** CRC-32 of the pixels. */
  readonly checksum: number
}

/** A shard file that exists. Holds its table in memory, and no open file. */
export class Shard {
  readonly file: string
  readonly #table: Float64Array
  /** Offsets of the images whose checksums have been verified. */
  readonly #checked = new Set<number>()

  private constructor(file: string, table: Float64Array) {
    this.file = file
    this.#table = table
  }

  /** Opens a shard file; returns undefined if it does not exist or its table is damaged. */
  static async open(file: string, count: number): Promise<Shard | undefined> {
    const head = Buffer.alloc(headBytes + count * columns * 8)
    const handle = await openRegularFile(file).catch(() => undefined)
    if (handle === undefined) return undefined
    const { size } = (await readWhole(handle, head, 0)) ? await handle.stat().catch(() => ({ size: 0 })) : { size: 0 }
    await closeRead(handle)
    const bytes = new Uint8Array(head.subarray(headBytes))
    if (size === 0 || !head.subarray(0, 8).equals(letters) || !head.subarray(8, headBytes).equals(digest(bytes))) {
      return undefined
    }
    const table = new Float64Array(bytes.buffer)
    return isPossible(table, size) ? new Shard(file, table) : undefined
  }

  /** Returns the table's row of an image; undefined for an image that is not cached. */
  entry(slot: number): ShardEntry | undefined {
    const [start = 0, height = 0, width = 0, originalHeight = 0, originalWidth = 0, checksum = 0] =
      this.#table.subarray(slot * columns, (slot + 1) * columns)
    if (height === 0) return undefined
    return { start, height, width, original: { height: originalHeight, width: originalWidth }, checksum }
  }

  /**
   * Opens the file for the reads of one batch; returns undefined if it is gone. Not for longer, because another process
   * may replace or remove the file. The caller closes it.
   */
  async openFile(): Promise<FileHandle | undefined> {
    return openRegularFile(this.file).catch(() => undefined)
  }

  /**
   * Reads an image of the open file into `pixels`, which has its size; returns false if the file is truncated or damaged.
   * The checksum is verified at the first read only, because it costs as much as reading from the page cache.
   */
  async read(file: FileHandle, entry: ShardEntry, pixels: Uint8Array): Promise<boolean> {
    if (!(await readWhole(file, pixels, entry.start))) return false
    if (!this.#checked.has(entry.start)) {
      if (zlib.crc32(pixels) !== entry.checksum) return false
      this.#checked.add(entry.start)
    }
    return true
  }
}

/** Whether the rows of a table are images that a file of `size` bytes can have. Another program may have written them. */
function isPossible(table: Float64Array, size: number): boolean {
  for (let slot = 0; slot < table.length; slot += columns) {
    const row = table.subarray(slot, slot + columns)
    const [start = 0, height = 0, width = 0, originalHeight = 0, originalWidth = 0] = row
    if (!row.every((value) => Number.isSafeInteger(value) && value >= 0)) return false
    if (height === 0) continue
    if (width === 0 || originalHeight === 0 || originalWidth === 0 || start + height * width > size) return false
  }
  return true
}

const readWhole = (handle: FileHandle, into: Uint8Array, start: number): Promise<boolean> =>
  filled(handle, into, start).then(
    (bytes) => bytes === into.length,
    () => false,
  )

const digest = (table: Uint8Array) => createHash('sha256').update(endianness()).update(table).digest()

/**
 * Writes a shard to a temporary file and renames it, so that readers see a complete shard or none. If two processes write
 * the same shard, the last one wins. The file is not synced: checksums detect what a power failure left incomplete.
 *
 * @param images in order; undefined for an image that is not cached
 * @throws the errors of node:fs and of `images`; no file is left then
 */
export async function writeShard(
  file: string,
  count: number,
  images: AsyncIterable<ShardImage | undefined>,
): Promise<void> {
  const table = new Float64Array(count * columns)
  const { handle, temporary } = await openUnfinished(file)
  const write = async (): Promise<void> => {
    let slot = 0
    let start = headBytes + table.byteLength
    for await (const image of images) {
      if (image) {
        const { pixels, height, width, original } = image
        table.set([start, height, width, original.height, original.width, zlib.crc32(pixels)], slot * columns)
        await writeWhole(handle, pixels, start)
        start += pixels.length
      }
      slot += 1
    }
    const bytes = new Uint8Array(table.buffer)
    await writeWhole(handle, Buffer.concat([letters, digest(bytes), bytes]), 0)
  }
  try {
    await withEnd(write, () => handle.close())
    await rename(temporary, file)
  } catch (error) {
    // the first error counts, also where a file system that has become read-only keeps the file
    await unlink(temporary).catch(() => undefined)
    throw error
  }
}

async function writeWhole(handle: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, start + done)).bytesWritten
  }
}

const unfinished = '.unfinished'

/** Creates a temporary file, and locks it until it is closed: who gets the lock of another may remove that one. */
async function openUnfinished(file: string): Promise<{ handle: FileHandle; temporary: string }> {
  for (;;) {
    const name = `.${path.basename(file)}.${randomBytes(6).toString('hex')}${unfinished}`
    const temporary = path.join(path.dirname(file), name)
    const handle = await open(temporary, 'wx')
    const locking = await takeLock(handle, temporary).catch(async (error) => {
      await Promise.allSettled([handle.close(), unlink(temporary)])
      throw error
    })
    if (locking !== 'held' && locking !== 'gone') return { handle, temporary }
    // removed by another process before it was locked
    await handle.close()
  }
}

/** Age in milliseconds at which a temporary file is abandoned, where files cannot be locked. */
const abandonedAge = 3_600_000

/** Removes the temporary files of processes that were killed. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(unfinished)) continue
    const file = path.join(folder, name)
    // open for writing, which some locks need
    const handle = await open(file, 'r+').catch(() => undefined)
    if (handle === undefined) continue
    const remove = async (): Promise<void> => {
      const locking = await takeLock(handle, file)
      const isOld = typeof locking === 'object' && Date.now() - (await handle.stat()).mtimeMs > abandonedAge
      if (locking === 'taken' || isOld) await rm(file, { force: true })
    }
    await withEnd(remove, () => handle.close())
  }
}
