import type { Dirent, Stats } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'

/** A symbolic link in a folder of images that was not followed, or another path to a folder that was read already. */
export interface SkippedLink {
  /** Path of the link. */
  readonly path: string
  /** Reason why it was not followed, as the end of a sentence. */
  readonly reason: string
}

/** The entries of one folder. */
export interface Entries {
  /** Paths of image files and of links to them, sorted. */
  readonly images: readonly string[]
  /** Names of folders and of links to folders, sorted. */
  readonly folders: readonly string[]
  /** Names of the `folders` that are links. */
  readonly links: ReadonlySet<string>
  /** Links without a target whose name is not that of an image. */
  readonly broken: readonly SkippedLink[]
  readonly ignored: number
}

/** All images below one folder. */
export interface ImagesBelow {
  readonly images: readonly string[]
  readonly ignored: number
}

/**
 * Extensions of image files. Some formats are not decoded (BMP, HEIC; SVG by default): their files are reported as
 * unreadable, not ignored.
 */
const imageExtensions = new Set(
  '.jpg .jpeg .jpe .jfif .png .webp .gif .tif .tiff .avif .bmp .heic .heif .jxl .jp2 .ppm .pgm .pnm .svg'.split(' '),
)

/** Whether the name of a file is that of an image. */
export const isImageName = (name: string): boolean => imageExtensions.has(path.extname(name).toLowerCase())

/** Compares by code units, so that the order is the same in every locale. */
const byName = (first: Dirent, second: Dirent): number => (first.name < second.name ? -1 : 1)

type Kind = 'file' | 'folder' | 'other'

const kindOf = (entry: Dirent | Stats): Kind => (entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other')

const brokenReasons: Readonly<Record<string, string>> = {
  ENOENT: 'its target does not exist',
  ENOTDIR: 'its target does not exist',
  ELOOP: 'it leads back to itself',
}

/** Returns the kind of a link's target, or the reason why it has none. */
async function targetOf(link: string): Promise<Kind | { readonly reason: string }> {
  try {
    return kindOf(await stat(link))
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    return { reason: brokenReasons[code] ?? message }
  }
}

/** Lists a folder. Ignores hidden entries, files that are not named as images, and entries that are neither file nor folder. */
export async function entriesOf(folder: string): Promise<Entries> {
  const images: string[] = []
  const folders: string[] = []
  const links = new Set<string>()
  const broken: SkippedLink[] = []
  let ignored = 0
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort(byName)) {
    const { name } = entry
    const file = path.join(folder, name)
    const isLink = entry.isSymbolicLink()
    const kind = name.startsWith('.') ? 'other' : isLink ? await targetOf(file) : kindOf(entry)
    if (kind === 'folder') {
      folders.push(name)
      if (isLink) links.add(name)
    } else if (isImageName(name) && kind !== 'other') {
      // A broken link with the name of an image is a missing image, which is reported when it is read.
      images.push(file)
    } else if (typeof kind === 'object') broken.push({ path: file, reason: kind.reason })
    else ignored += 1
  }
  return { images, folders, links, broken, ignored }
}

/** A folder with its sub-folders. A link is empty until it is followed. */
interface Branch {
  images: readonly string[]
  ignored: number
  below: readonly Branch[]
}

/**
 * Collects the images below several folders so that no folder is read twice: neither through a link to an ancestor, nor
 * through two links, nor below two of the folders. A folder is read under its own path if possible, otherwise under the
 * first link to it, where links among the given folders come before links below them. Links that are not followed are
 * listed in `skipped`.
 */
export class FolderWalk {
  readonly skipped: SkippedLink[] = []
  /** The path under which each folder was read, by device and inode. */
  readonly #read = new Map<string, string>()
  readonly #links: { readonly path: string; readonly branch: Branch }[] = []

  /** Returns the images below each of the `folders` in `parent`, in the order of their paths. */
  async imagesBelow(parent: string, { folders, links }: Pick<Entries, 'folders' | 'links'>): Promise<ImagesBelow[]> {
    const branches = await this.#branches(parent, folders, links)
    for (let next = this.#links.shift(); next !== undefined; next = this.#links.shift()) {
      const loop = await ancestorOf(next.path)
      if (loop === undefined) Object.assign(next.branch, await this.#branch(next.path))
      else this.skipped.push({ path: next.path, reason: `it leads to ${loop}, a folder that contains it` })
    }
    return branches.map((branch) => ({ images: imagesOf(branch), ignored: ignoredOf(branch) }))
  }

  async #branches(parent: string, names: readonly string[], links: ReadonlySet<string>): Promise<Branch[]> {
    const branches: Branch[] = names.map(() => ({ images: [], ignored: 0, below: [] }))
    // All links of this folder are queued before those in its sub-folders.
    for (const [index, name] of names.entries()) {
      if (links.has(name)) this.#links.push({ path: path.join(parent, name), branch: branches[index] as Branch })
    }
    for (const [index, name] of names.entries()) {
      if (!links.has(name)) branches[index] = await this.#branch(path.join(parent, name))
    }
    return branches
  }

  async #branch(folder: string): Promise<Branch> {
    const identity = await identityOf(folder)
    const first = this.#read.get(identity)
    if (first !== undefined) {
      this.skipped.push({ path: folder, reason: `it is the folder ${first}, which was read already` })
      return { images: [], ignored: 0, below: [] }
    }
    this.#read.set(identity, folder)
    const { images, folders, links, broken, ignored } = await entriesOf(folder)
    this.skipped.push(...broken)
    return { images, ignored, below: await this.#branches(folder, folders, links) }
  }
}

/** Returns the target of a link if it is a folder that contains the link; otherwise undefined. */
async function ancestorOf(link: string): Promise<string | undefined> {
  const [target, folder] = await Promise.all([realpath(link), realpath(path.dirname(link))])
  return `${folder}/`.startsWith(target === '/' ? target : `${target}/`) ? target : undefined
}

/** Identifies a folder by device and inode, because links give it further paths. */
async function identityOf(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder, { bigint: true })
  return `${dev}:${ino}`
}

const imagesOf = ({ images, below }: Branch): string[] => [...images, ...below.flatMap(imagesOf)]

const ignoredOf = ({ ignored, below }: Branch): number =>
  below.reduce((sum, branch) => sum + ignoredOf(branch), ignored)
