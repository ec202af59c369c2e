import { randomUUID } from 'node:crypto'
import { readdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder, writeAtomically, writeError } from '../../files/atomic-file.js'

/** Whether a revision is a commit, whose files never change. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision)

/**
 * The folder of a repository in a cache with the hub's layout: `refs/REVISION` holds a commit, `snapshots/COMMIT/FILE` is a
 * link to `blobs/HASH`.
 */
export class RepositoryCache {
  readonly folder: string
  /** Folder of its locks, beside those of Python. */
  readonly locks: string
  readonly #suffix: string

  /**
   * @param root folder of the cache
   * @param name folder of the repository: 'models--owner--name'
   * @param suffix what follows the names of files in snapshots
   */
  constructor(root: string, name: string, suffix = '') {
    this.folder = path.join(root, name)
    this.locks = path.join(root, '.locks', name)
    this.#suffix = suffix
  }

  /** The commit of a revision when it was last fetched; undefined if it was not. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision
    const text = await readFile(this.#ref(revision), 'utf8').catch(() => '')
    return isCommit(text.trim()) ? text.trim() : undefined
  }

  /** The path of a file of a commit, whether it is there or not. */
  pathOf(commit: string, file: string): string {
    return path.join(this.folder, 'snapshots', commit, `${file}${this.#suffix}`)
  }

  /** The path of a cached file; undefined if it is not cached. */
  async find(commit: string, file: string): Promise<string | undefined> {
    const found = this.pathOf(commit, file)
    const entry = await stat(found).catch(() => undefined)
    return entry?.isFile() ? found : undefined
  }

  /** SHA-256 of a cached file by the name of its blob; undefined for small files, which have another hash. */
  async hashOf(cached: string): Promise<string | undefined> {
    const name = path.basename(await realpath(cached))
    return /^[0-9a-f]{64}$/.test(name) ? name : undefined
  }

  /** The cached files of a commit. */
  async files(commit: string): Promise<string[]> {
    const folder = path.join(this.folder, 'snapshots', commit)
    const entries = await readdir(folder, { recursive: true }).catch(() => [])
    const names = entries.filter((name) => name.endsWith(this.#suffix))
    const files = names.map((name) => name.slice(0, name.length - this.#suffix.length))
    const found = await Promise.all(files.map(async (file) => ((await this.find(commit, file)) ? [file] : [])))
    return found.flat().sort()
  }

  /** Records the commit of a revision. @throws FILE_WRITE */
  async keepCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return
    const ref = this.#ref(revision)
    await makeFolder(path.dirname(ref))
    await writeAtomically(ref, [new TextEncoder().encode(commit)])
  }

  /** The blob with a hash, and the file that it is while it is fetched. */
  blob(hash: string): { readonly whole: string; readonly part: string } {
    const whole = path.join(this.folder, 'blobs', hash)
    // not HASH.incomplete, which other programs write to
    return { whole, part: `${whole}.vggnet.incomplete` }
  }

  /** Makes a blob the content of a file of a commit. @throws FILE_WRITE */
  async link(hash: string, commit: string, file: string): Promise<string> {
    const link = this.pathOf(commit, file)
    await makeFolder(path.dirname(link))
    const temporary = `${link}.${randomUUID()}.tmp`
    try {
      await symlink(path.relative(path.dirname(link), this.blob(hash).whole), temporary)
      await rename(temporary, link)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw writeError(link, error)
    }
    return link
  }

  #ref(revision: string): string {
    return path.join(this.folder, 'refs', revision)
  }
}
