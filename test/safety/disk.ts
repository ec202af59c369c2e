import { constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Random } from '../../lib/random.js'

const page = 4096

/** One change of a file or folder, as test/safety/recorder.cpp wrote it down. */
export interface Change {
  readonly kind: string
  readonly words: readonly string[]
  /** Bytes of a write. */
  readonly bytes: Buffer
}

export function readChanges(file: string): Change[] {
  const all = readFileSync(file)
  const changes: Change[] = []
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(10, at)
    const [kind = '', ...words] = all.toString('utf8', at, end).split(' ')
    const size = kind === 'write' ? Number(words[2]) : 0
    changes.push({ kind, words, bytes: all.subarray(end + 1, end + 1 + size) })
    at = end + 1 + size
  }
  return changes
}

/** Which changes that were not synced a disk has kept when the power fails. */
export type Survival = 'none' | 'all' | 'names' | 'data' | 'any'
export const survivals: readonly Survival[] = ['none', 'all', 'names', 'data', 'any', 'any', 'any']

type Keep = (kind: 'name' | 'size' | 'page', changes: number) => number

/** How many of the changes of a page or of a size, in their order, or of one name, were kept. */
const keepBy = (survival: Survival, random: Random): Keep => {
  if (survival === 'none') return () => 0
  if (survival === 'all') return (_, changes) => changes
  if (survival === 'names') return (kind, changes) => (kind === 'page' ? 0 : changes)
  if (survival === 'data') return (kind, changes) => (kind === 'name' ? 0 : changes)
  return (_, changes) => random.integer(changes + 1)
}

/** A file: its bytes on the disk, and the writes after its last sync, each as an offset and bytes; no bytes set the size. */
class DiskFile {
  #synced: Buffer = Buffer.alloc(0)
  #pending: { readonly at: number; readonly bytes: Buffer | undefined }[] = []

  write(at: number, bytes: Buffer): void {
    this.#pending.push({ at, bytes })
  }

  truncate(size: number): void {
    this.#pending.push({ at: size, bytes: undefined })
  }

  sync(): void {
    this.#synced = this.content(keepBy('all', undefined as never))
    this.#pending = []
  }

  /** The bytes after a power failure. Each page has the first of its writes, and the size is one that the file had. */
  content(keep: Keep): Buffer {
    const sizes = [this.#synced.length]
    const pages = new Map<number, { at: number; bytes: Buffer }[]>()
    for (const { at, bytes } of this.#pending) {
      const size = sizes.at(-1) ?? 0
      sizes.push(bytes === undefined ? at : Math.max(size, at + bytes.length))
      for (let start = at; start < at + (bytes?.length ?? 0); ) {
        const index = Math.floor(start / page)
        const end = Math.min((index + 1) * page, at + (bytes?.length ?? 0))
        const pieces = pages.get(index) ?? []
        pieces.push({ at: start, bytes: (bytes ?? Buffer.alloc(0)).subarray(start - at, end - at) })
        pages.set(index, pieces)
        start = end
      }
    }
    const content = Buffer.alloc(Math.max(...sizes))
    this.#synced.copy(content)
    for (const pieces of pages.values()) {
      for (const { at, bytes } of pieces.slice(0, keep('page', pieces.length))) bytes.copy(content, at)
    }
    return content.subarray(0, sizes[keep('size', sizes.length - 1)])
  }
}

type Entry = DiskFile | DiskFolder
type Entries = Map<string, Entry>

/** A folder: its names on the disk, and the changes after its last sync. */
class DiskFolder {
  #synced: Entries = new Map()
  #pending: ((entries: Entries) => void)[] = []
  readonly entries: Entries = new Map()

  change(act: (entries: Entries) => void): void {
    act(this.entries)
    this.#pending.push(act)
  }

  sync(): void {
    this.#synced = new Map(this.entries)
    this.#pending = []
  }

  /** Writes the folder as it is after a power failure: any of the changes were kept, in their order. */
  writeTo(folder: string, keep: Keep): void {
    const kept: Entries = new Map(this.#synced)
    for (const act of this.#pending) if (keep('name', 1) === 1) act(kept)
    for (const [name, entry] of kept) {
      const to = path.join(folder, name)
      if (entry instanceof DiskFile) writeFileSync(to, entry.content(keep))
      else {
        mkdirSync(to)
        entry.writeTo(to, keep)
      }
    }
  }
}

/** A disk that forgets what was not synced when the power fails, as POSIX allows it: less than any one file system does. */
export class Disk {
  readonly #root: string
  readonly #top = new DiskFolder()
  readonly #open = new Map<string, Entry | undefined>()

  /** @param root folder that holds everything, and is on the disk from the start */
  constructor(root: string) {
    this.#root = root
  }

  /** Does a recorded change. */
  apply({ kind, words, bytes }: Change): void {
    const [first = '', second = '', third = ''] = words
    const [one = '', other = ''] = words.join(' ').split('\t')
    if (kind === 'open') this.#opened(first, Number(second), words.slice(2).join(' '))
    else if (kind === 'write') this.#file(first)?.write(Number(second), Buffer.from(bytes.subarray(0, Number(third))))
    else if (kind === 'truncate') this.#file(first)?.truncate(Number(second))
    else if (kind === 'sync') this.#open.get(first)?.sync()
    else if (kind === 'mkdir') this.#set(one, new DiskFolder())
    else if (kind === 'unlink' || kind === 'rmdir') this.#set(one, undefined)
    else if (kind === 'link') this.#set(other, this.#entry(one))
    else if (kind === 'rename') this.#rename(one, other)
    else throw new Error(`No such change: ${kind} ${words.join(' ')}`)
  }

  /** Writes what the disk holds after a power failure below a real folder. */
  writeTo(folder: string, survival: Survival, random: Random): void {
    this.#top.writeTo(folder, keepBy(survival, random))
  }

  /** The bytes of a file as programs see it. */
  content(file: string): Buffer {
    const entry = this.#entry(file)
    if (entry instanceof DiskFile) return entry.content(keepBy('all', undefined as never))
    throw new Error(`No file ${file}`)
  }

  #entry(name: string): Entry | undefined {
    if (name === this.#root) return this.#top
    const parent = this.#entry(path.dirname(name))
    return parent instanceof DiskFolder ? parent.entries.get(path.basename(name)) : undefined
  }

  #file(descriptor: string): DiskFile | undefined {
    const entry = this.#open.get(descriptor)
    return entry instanceof DiskFile ? entry : undefined
  }

  #opened(descriptor: string, flags: number, name: string): void {
    let entry = this.#entry(name)
    if (entry === undefined && (flags & constants.O_CREAT) !== 0) {
      entry = new DiskFile()
      this.#set(name, entry)
    } else if (entry instanceof DiskFile && (flags & constants.O_TRUNC) !== 0) entry.truncate(0)
    this.#open.set(descriptor, entry)
  }

  #folderOf(name: string): DiskFolder {
    const folder = this.#entry(path.dirname(name))
    if (folder instanceof DiskFolder) return folder
    throw new Error(`No folder of ${name}`)
  }

  #set(name: string, entry: Entry | undefined): void {
    const base = path.basename(name)
    this.#folderOf(name).change((entries) => {
      if (entry === undefined) entries.delete(base)
      else entries.set(base, entry)
    })
  }

  #rename(from: string, to: string): void {
    const entry = this.#entry(from)
    if (path.dirname(from) !== path.dirname(to) || entry === undefined)
      throw new Error(`Not recorded: ${from} to ${to}`)
    this.#folderOf(from).change((entries) => {
      entries.delete(path.basename(from))
      entries.set(path.basename(to), entry)
    })
  }
}
