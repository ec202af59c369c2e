import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { endianness } from 'node:os'
import path from 'node:path'
// no named import: where Node has no crc32 lib/platform/load/node-check.ts is to say so, not the linker
import zlib from 'node:zlib'
import type { PixelSize } from '../images/crop.js'

// A shard file: decoded images, found by their position.
//   0   8 bytes   the letters VGGSHARD
//   8   32 bytes  SHA-256 of the table
//   40  n x 48    the table, float64: position of the first byte; height, width; height, width before rescaling; CRC-32
//   then the images, uint8 height, width, channels, in the order of the table
// An image that is not kept has height 0. The table is in the order of bytes of the machine.

const letters = Buffer.from('VGGSHARD')
const headBytes = 40
const columns = 6

/** A decoded image. */
export interface ShardImage extends PixelSize {
  /** uint8, height x width x channels. */
  readonly pixels: Uint8Array
  /** Before it was rescaled. */
  readonly original: PixelSize
}

/** Where an image lies in its shard. */
export interface ShardEntry extends PixelSize {
  readonly original: PixelSize
  readonly start: number
  readonly checksum: number
}

/** The table of a shard that is there. */
export class Shard {
  readonly file: string
  readonly #table: Float64Array
  /** First bytes of the images that agreed with their checksums. */
  readonly #checked = new Set<number>()

  private constructor(file: string, table: Float64Array) {
    this.file = file
    this.#table = table
  }

  /** The shard of this file; undefined where there is none or its table is damaged. */
  static async open(file: string, count: number): Promise<Shard | undefined> {
    const head = Buffer.alloc(headBytes + count * columns * 8)
    const handle = await open(file, 'r').catch(() => undefined)
    if (handle === undefined) return undefined
    const whole = await readWhole(handle, head, 0).finally(() => handle.close())
    const table = new Uint8Array(head.subarray(headBytes))
    if (!whole || !head.subarray(0, 8).equals(letters) || !head.subarray(8, headBytes).equals(digest(table))) {
      return undefined
    }
    return new Shard(file, new Float64Array(table.buffer))
  }

  /** Where an image lies; undefined for one that is not kept. */
  entry(position: number): ShardEntry | undefined {
    const [start = 0, height = 0, width = 0, originalHeight = 0, originalWidth = 0, checksum = 0] =
      this.#table.subarray(position * columns, (position + 1) * columns)
    if (height === 0) return undefined
    return { start, height, width, original: { height: originalHeight, width: originalWidth }, checksum }
  }

  /**
   * Opens the file for some reads; undefined where it is gone. Not for longer: another process may replace or remove it.
   * The caller closes what it is given.
   */
  async openFile(): Promise<FileHandle | undefined> {
    return open(this.file, 'r').catch(() => undefined)
  }

  /**
   * Reads an image of the opened file into `pixels`, which it fills; false where the file is cut short or damaged. The
   * checksum is taken the first time only: it costs as much as reading what lies in memory already.
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

async function readWhole(handle: FileHandle, into: Uint8Array, start: number): Promise<boolean> {
  try {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await handle.read(into, done, into.length - done, start + done)
      if (bytesRead === 0) return false
      done += bytesRead
    }
    return true
  } catch {
    return false
  }
}

const digest = (table: Uint8Array) => createHash('sha256').update(endianness()).update(table).digest()

/**
 * Writes a shard beside its position and renames it: a reader sees all of it or nothing, and of two processes that write
 * the same one the last wins. Not synced: what a power failure leaves half is found by the checksums.
 *
 * @param images in order; undefined for one that is not kept
 * @throws what node:fs throws, and what `images` throws; the file is not there then
 */
export async function writeShard(
  file: string,
  count: number,
  images: AsyncIterable<ShardImage | undefined>,
): Promise<void> {
  const temporary = path.join(
    path.dirname(file),
    `.${path.basename(file)}.${randomBytes(6).toString('hex')}${unfinished}`,
  )
  const table = new Float64Array(count * columns)
  const handle = await open(temporary, 'wx')
  try {
    try {
      let position = 0
      let start = headBytes + table.byteLength
      for await (const image of images) {
        if (image) {
          const { pixels, height, width, original } = image
          table.set([start, height, width, original.height, original.width, zlib.crc32(pixels)], position * columns)
          await writeWhole(handle, pixels, start)
          start += pixels.length
        }
        position += 1
      }
      const bytes = new Uint8Array(table.buffer)
      await writeWhole(handle, Buffer.concat([letters, digest(bytes), bytes]), 0)
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function writeWhole(handle: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, start + done)).bytesWritten
  }
}

const unfinished = '.unfinished'
/** Milliseconds. Whoever writes a shard writes to it every few seconds. */
const given = 3_600_000

/** Removes what processes that were killed left of their shards. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(unfinished)) continue
    const file = path.join(folder, name)
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
    if (Date.now() - mtimeMs > given) await rm(file, { force: true })
  }
}
