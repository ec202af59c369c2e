import { type FetchOptions, Repository, weightsFile } from './repository.js'
import { fetchIntoCache, type RepositoryFile } from './whole-file.js'

/** A file of the hub on this machine. */
export interface FetchedFile {
  /** Path of the file on this machine. */
  readonly path: string
  /** Owner and name of the repository: 'timm/vgg16.tv_in1k'. */
  readonly repository: string
  /** Path of the file in the repository. */
  readonly file: string
  /** Commit of the repository. */
  readonly revision: string
  /** SHA-256 of the whole file, which was checked when it was fetched; undefined for small files, whose git hash was checked. */
  readonly sha256?: string
  /** Number of bytes that this call received, answers about the repository included; 0 if everything was cached. */
  readonly bytes: number
}

/**
 * Fetches the file of weights of a repository on the Hugging Face hub into the hub's own cache, and checks its hash. A cached
 * file is not fetched again.
 * @param uri `hf://owner/name`, with `@REVISION` and a path in the repository if wanted; or `hf-hub:owner/name`
 * @throws INVALID_ARGUMENT, MISSING_TOOL, DOWNLOAD_FAILED, HASH_MISMATCH, FILE_NOT_FOUND, FILE_WRITE, FOLDER_IN_USE, ABORTED
 */
export async function fetchWhole(uri: string, options: FetchOptions = {}): Promise<FetchedFile> {
  const repository = await Repository.open(uri, options.signal)
  const snapshot = await repository.snapshot([repository.whole])
  return wholeFile(repository, { commit: snapshot.commit, file: weightsFile(snapshot, repository.uri) }, options)
}

async function wholeFile(
  repository: Repository,
  { commit, file }: RepositoryFile,
  options: FetchOptions,
): Promise<FetchedFile> {
  const { whole: cache, environment, revision, uri, transport } = repository
  const cached = await cache.find(commit, file)
  if (cached === undefined && environment.offline) throw repository.notCached(file)
  const path = cached ?? (await fetchIntoCache(repository, { commit, file }, options))
  // a cache that cannot be written to is used as it is
  await cache.keepCommit(revision, commit).catch(() => undefined)
  const sha256 = await cache.hashOf(path)
  const described = { path, repository: uri.repository, file, revision: commit }
  return { ...described, ...(sha256 === undefined ? {} : { sha256 }), bytes: transport.received }
}
