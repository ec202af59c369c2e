import path from 'node:path'
import { messageOf, VggError } from '../../error.js'
import { isObject } from '../../options.js'
import { cacheFolder } from '../../platform/wheels/cache.mjs'
import { isCommit, RepositoryCache } from './cache.js'
import { type HubEnvironment, hubEnvironment } from './environment.js'
import { Unreachable } from './faults.js'
import { Transport } from './transport.js'
import { type HubUri, hubUriText, isRepositoryPath, parseHubUri } from './uri.js'

/** Options of a download. */
export interface FetchOptions {
  /** Aborts the download. What was received of a whole file is kept, and the next download continues there. */
  readonly signal?: AbortSignal
  /** Called as bytes arrive, with the number of bytes that are there and that are needed. */
  readonly onProgress?: (progress: { readonly received: number; readonly total: number }) => void
}

/** The files of a repository at a commit. */
export interface Snapshot {
  readonly commit: string
  /** Paths of files. Those of a cached snapshot are the cached ones. */
  readonly files: readonly string[]
}

/** Size and hash of a file, as the hub states them. */
export interface FileDetails {
  readonly size: number
  /** SHA-256 of the content in hex; of small files that are kept in git, git's SHA-1. */
  readonly hash: string
}

/** A repository of models on the hub, and its folders in the hub's cache and in ours. */
export class Repository {
  readonly uri: HubUri
  readonly environment: HubEnvironment
  readonly transport: Transport
  /** The hub's cache, which is shared with Python: whole files. */
  readonly whole: RepositoryCache
  /** Our cache: headers and parts of files. */
  readonly parts: RepositoryCache
  readonly #library: Library

  /** @throws INVALID_ARGUMENT, MISSING_TOOL */
  static async open(uri: string, signal?: AbortSignal): Promise<Repository> {
    const parsed = parseHubUri(uri)
    const environment = await hubEnvironment(process.env)
    const transport = new Transport({ environment, uri: parsed }, signal)
    return new Repository(parsed, environment, await library(), transport)
  }

  private constructor(uri: HubUri, environment: HubEnvironment, hub: Library, transport: Transport) {
    this.uri = uri
    this.environment = environment
    this.transport = transport
    this.#library = hub
    const name = hub.getRepoFolderName({ type: 'model', name: uri.repository })
    this.whole = new RepositoryCache(hub.getHFHubCachePath(), name)
    this.parts = new RepositoryCache(path.join(cacheFolder(), 'hub'), name, '.json')
  }

  /** Branch, tag or commit that the URI names. */
  get revision(): string {
    return this.uri.revision ?? 'main'
  }

  /**
   * The repository at the revision, as the hub has it; as `caches` have it if the hub is offline or cannot be reached, or if
   * the commit and the file are named and cached.
   * @throws DOWNLOAD_FAILED, FILE_NOT_FOUND, ABORTED
   */
  async snapshot(caches: readonly RepositoryCache[]): Promise<Snapshot> {
    const cached = await this.#cached(caches)
    const { file } = this.uri
    const pinned = isCommit(this.revision) && file !== undefined && cached?.files.includes(file)
    if (cached !== undefined && (pinned || this.environment.offline)) return cached
    if (this.environment.offline) throw this.notCached(file)
    try {
      return await this.#current()
    } catch (error) {
      if (error instanceof Unreachable && cached !== undefined) return cached
      throw error
    }
  }

  /** @throws DOWNLOAD_FAILED, FILE_NOT_FOUND, ABORTED */
  async details(commit: string, file: string): Promise<FileDetails> {
    const query = { ...this.#query(), repo: this.uri.repository, revision: commit, paths: [file] }
    const found = await this.#asked(() => this.#library.pathsInfo(query))
    const entry = found.find((one) => one.path === file && one.type === 'file')
    if (entry === undefined) throw notThere(file, this.uri, [])
    const { size, lfs, oid } = entry
    const hash = isObject(lfs) ? lfs.oid : oid
    const known = typeof hash === 'string' && (isObject(lfs) ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hash)
    if (known && Number.isSafeInteger(size) && size >= 0) return { size, hash }
    throw this.#notTheHub(`it states no size and hash of ${file}`)
  }

  /** The address of a file's content. */
  url(commit: string, file: string): string {
    const encoded = file.split('/').map(encodeURIComponent).join('/')
    return `${this.environment.endpoint}/${this.uri.repository}/resolve/${commit}/${encoded}`
  }

  /** The error for a file that is not cached, on a machine without the hub. */
  notCached(file: string | undefined): VggError {
    const { repository } = this.uri
    const what = `${file ?? 'weights'} of '${repository}' at ${this.revision}`
    const command = `hf download ${repository}${file ? ` ${file}` : ''}${this.uri.revision ? ` --revision ${this.revision}` : ''}`
    const cure = `unset HF_HUB_OFFLINE; or run \`${command}\` on a machine with a network, and copy ${path.basename(this.whole.folder)} from its cache to ${path.dirname(this.whole.folder)}`
    return new VggError('FILE_NOT_FOUND', `The cache has no ${what}, and HF_HUB_OFFLINE allows no download: ${cure}`)
  }

  #query(): { hubUrl: string; fetch: typeof fetch } {
    return { hubUrl: this.environment.endpoint, fetch: this.transport.fetch }
  }

  async #current(): Promise<Snapshot> {
    const query = { ...this.#query(), name: this.uri.repository, revision: this.revision }
    const info = await this.#asked(() => this.#library.modelInfo({ ...query, additionalFields: ['sha', 'filePaths'] }))
    const { sha: commit, filePaths: files } = info
    if (typeof commit !== 'string' || !isCommit(commit)) throw this.#notTheHub('it names no commit')
    if (!files.every((file) => typeof file === 'string')) throw this.#notTheHub('it lists no files')
    return { commit, files: files.filter(isRepositoryPath) }
  }

  async #cached(caches: readonly RepositoryCache[]): Promise<Snapshot | undefined> {
    for (const cache of caches) {
      const commit = await cache.commitOf(this.revision)
      const files = commit === undefined ? [] : await cache.files(commit)
      const { file } = this.uri
      const usable = files.length > 0 && (file === undefined || files.includes(file))
      if (commit !== undefined && usable) return { commit, files }
    }
    return undefined
  }

  /** An answer of the hub. What is not understood is an error that says so. */
  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw error instanceof VggError ? error : this.#notTheHub(messageOf(error), error)
    }
  }

  #notTheHub(reason: string, cause?: unknown): VggError {
    const { endpoint } = this.environment
    const message = `${endpoint} gave an answer that is not that of a hub: ${reason.slice(0, 200)}; is HF_ENDPOINT right?`
    return new VggError('DOWNLOAD_FAILED', message, { cause })
  }
}

type Library = typeof import('@huggingface/hub')

/** The hub's library, which is an optional dependency. */
async function library(): Promise<Library> {
  try {
    return await import('@huggingface/hub')
  } catch (cause) {
    const message = 'Weights of the Hugging Face hub need the package @huggingface/hub: npm install @huggingface/hub'
    throw new VggError('MISSING_TOOL', message, { cause })
  }
}

/** Files that can be the weights of a repository, in the order in which they are preferred. */
const preferred = [
  /^model\.safetensors$/,
  /\.safetensors$/,
  /^pytorch_model\.bin$/,
  /\.(pth|pt|bin)$/,
  /\.(h5|hdf5)$/,
  /\.caffemodel$/,
]

/**
 * The file of weights in a repository: the one that the URI names, else model.safetensors, else the only one of the first
 * kind that there is.
 * @throws FILE_NOT_FOUND, which lists the files
 */
export function weightsFile({ files }: Snapshot, uri: HubUri): string {
  const { file } = uri
  if (file !== undefined) {
    if (files.includes(file)) return file
    throw notThere(file, uri, files)
  }
  for (const name of preferred) {
    const [first, ...others] = files.filter((one) => name.test(one))
    if (first === undefined) continue
    if (others.length === 0) return first
    const cure = `name one, as in ${hubUriText({ ...uri, file: first })}`
    throw new VggError(
      'FILE_NOT_FOUND',
      `'${uri.repository}' has several files of weights: ${listed([first, ...others])}; ${cure}`,
    )
  }
  throw new VggError('FILE_NOT_FOUND', `'${uri.repository}' has no file of weights; its files: ${listed(files)}`)
}

function notThere(file: string, uri: HubUri, files: readonly string[]): VggError {
  const list = files.length > 0 ? `; its files: ${listed(files)}` : ''
  return new VggError('FILE_NOT_FOUND', `'${uri.repository}' has no file ${file}${list}`)
}

const mostListed = 20

function listed(files: readonly string[]): string {
  const more = files.length - mostListed
  const first = files.slice(0, mostListed).map((file) => file.slice(0, 100))
  return files.length === 0 ? 'none' : `${first.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
