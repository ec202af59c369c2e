import type { Dirent, Stats } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'

/** A symbolic link in a folder of images that was not followed, or another way to a folder that is read already. */
export interface SkippedLink {
  /** Path of the link. */
  readonly path: string
  /** Why it was not followed. */
  readonly reason: string
}

/** Files and folders of one folder. */
export interface Entries {
  /** Paths of image files and of links to them, sorted. */
  readonly images: readonly string[]
  /** Names of folders and of links to folders, sorted. */
  readonly folders: readonly string[]
  /** Those of `folders` that are links. */
  readonly links: ReadonlySet<string>
  /** Links that lead nowhere and are not named as an image. */
  readonly broken: readonly SkippedLink[]
  readonly ignored: number
}

/** All images below one folder. */
export interface ImagesBelow {
  readonly images: readonly string[]
  readonly ignored: number
}

/** Whether a file is taken for an image by its name. */
export type IsImageName = (name: string) => boolean

/** By code units: the same order on every machine, whatever its language. */
const byName = (one: Dirent, other: Dirent): number => (one.name < other.name ? -1 : 1)

type Kind = 'file' | 'folder' | 'other'

const kindOf = (entry: Dirent | Stats): Kind => (entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other')

const brokenReasons: Readonly<Record<string, string>> = {
  ENOENT: 'its target does not exist',
  ENOTDIR: 'its target does not exist',
  ELOOP: 'it leads back to itself',
}

/** The kind of a link's target, or why it has none. */
async function targetOf(link: string): Promise<Kind | { readonly reason: string }> {
  try {
    return kindOf(await stat(link))
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    return { reason: brokenReasons[code] ?? message }
  }
}

/** Lists a folder. Hidden entries, files that are no image by name, and what is neither file nor folder are ignored. */
export async function entriesOf(folder: string, isImageName: IsImageName): Promise<Entries> {
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
      // A broken link that is named as an image is a missing image: reported when it is read.
      images.push(file)
    } else if (typeof kind === 'object') broken.push({ path: file, reason: kind.reason })
    else ignored += 1
  }
  return { images, folders, links, broken, ignored }
}

/** A folder with what lies below it; a link is empty until it is followed. */
interface Branch {
  images: readonly string[]
  ignored: number
  below: readonly Branch[]
}

/**
 * Collects the images below several folders such that no folder is read twice: neither through a link to an ancestor,
 * nor through two links, nor below two of the folders. A folder's own location goes before any link to it, a link among
 * the folders given before a link below one. Every link that is not followed is named in `skipped`.
 */
export class FolderWalk {
  readonly skipped: SkippedLink[] = []
  readonly #isImageName: IsImageName
  /** The first path of every folder that was read, by device and inode. */
  readonly #read = new Map<string, string>()
  readonly #links: { readonly path: string; readonly branch: Branch }[] = []

  constructor(isImageName: IsImageName) {
    this.#isImageName = isImageName
  }

  /** The images below each of `folders` within `parent`, in the order of their paths. */
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
    // First all links of this folder: those below its sub-folders come after them.
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
      this.skipped.push({ path: folder, reason: `it is the folder ${first}, which is read already` })
      return { images: [], ignored: 0, below: [] }
    }
    this.#read.set(identity, folder)
    const { images, folders, links, broken, ignored } = await entriesOf(folder, this.#isImageName)
    this.skipped.push(...broken)
    return { images, ignored, below: await this.#branches(folder, folders, links) }
  }
}

/** The target of a link where it is a folder that contains the link; otherwise undefined. */
async function ancestorOf(link: string): Promise<string | undefined> {
  const [target, folder] = await Promise.all([realpath(link), realpath(path.dirname(link))])
  return `${folder}/`.startsWith(target === '/' ? target : `${target}/`) ? target : undefined
}

/** Device and inode: a folder has as many paths as there are links to it. */
async function identityOf(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder, { bigint: true })
  return `${dev}:${ino}`
}

const imagesOf = ({ images, below }: Branch): string[] => [...images, ...below.flatMap(imagesOf)]

const ignoredOf = ({ ignored, below }: Branch): number =>
  below.reduce((sum, branch) => sum + ignoredOf(branch), ignored)
