import { Changed, NoRange } from './faults.js'
import { type Choose, fetchPart, forgetIndex } from './part.js'
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
  /**
   * SHA-256 that the hub states for the whole file, which is checked when it is fetched. Undefined for small files, which
   * have a hash of git.
   */
  readonly sha256?: string
  /**
   * Of a part: the bytes of the file on the hub that it has, as in HTTP: '2818-58861677'. No hash of the whole file was
   * checked. Undefined for a whole file.
   */
  readonly ranges?: string
  /** Why the whole file was fetched where a part was asked for; undefined if there is nothing to report. */
  readonly remark?: string
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

/**
 * Fetches some tensors of a safetensors file on the Hugging Face hub by HTTP Range into our cache, as a safetensors file.
 * The whole file is used where it is cached, and fetched where ranges are impossible or all tensors are chosen.
 * @param uri as of `fetchWhole`
 * @param choose gets the tensors in the file's header, and returns the names of those to fetch. Its errors are thrown before a
 *   tensor is fetched. It is not called for a file that is used as a whole.
 * @throws as `fetchWhole`, and FILE_FORMAT for a damaged header
 */
export async function fetchTensors(uri: string, choose: Choose, options: FetchOptions = {}): Promise<FetchedFile> {
  const repository = await Repository.open(uri, options.signal)
  const { whole, parts, transport } = repository
  const snapshot = await repository.snapshot([whole, parts])
  const file = weightsFile(snapshot, repository.uri)
  const wanted = { commit: snapshot.commit, file }
  if ((await whole.find(wanted.commit, file)) !== undefined) return wholeFile(repository, wanted, options)
  if (!file.endsWith('.safetensors')) {
    const remark = `${file} was fetched as a whole: only safetensors files can be fetched in parts`
    return { ...(await wholeFile(repository, wanted, options)), remark }
  }
  try {
    const part = await fetchPart(repository, wanted, choose, options).catch(async (error) => {
      if (!(error instanceof Changed)) throw error
      await forgetIndex(repository, wanted)
      return fetchPart(repository, wanted, choose, options)
    })
    if (part === undefined) return await wholeFile(repository, wanted, options)
    await parts.keepCommit(repository.revision, wanted.commit).catch(() => undefined)
    return { ...part, repository: repository.uri.repository, file, revision: wanted.commit, bytes: transport.received }
  } catch (error) {
    if (!(error instanceof NoRange)) throw error
    const remark = `${file} was fetched as a whole: ${error.message}`
    return { ...(await wholeFile(repository, wanted, options)), remark }
  }
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
