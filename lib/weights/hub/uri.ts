import { VggError } from '../../error.js'
import { shorten } from '../../options.js'

/** A repository of the Hugging Face hub, or a file in it. */
export interface HubUri {
  /** Owner and name: 'timm/vgg16.tv_in1k'. */
  readonly repository: string
  /** Branch, tag or commit. Undefined: 'main'. */
  readonly revision?: string
  /** Path of the file in the repository. Undefined: its file of weights. */
  readonly file?: string
}

const forms = 'hf://owner/name, hf://owner/name@REVISION or hf://owner/name@REVISION/path/model.safetensors'

/** The pages of the hub, which are answered with the URI to write instead. */
const page = /^https?:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)(?:\/|$)/i

/** Whether a text names something on the Hugging Face hub rather than a file. Malformed URIs do as well; `parseHubUri` refuses them. */
export const isHubUri = (text: unknown): text is string =>
  typeof text === 'string' && (/^(?:hf|hf-hub):/i.test(text) || page.test(text))

/** The URI of a repository or file: 'hf://owner/name@REVISION/path'. */
export function hubUriText({ repository, revision, file }: HubUri): string {
  // a slash would end the revision
  const at = revision === undefined ? '' : `@${pullRequest.test(revision) ? revision : encodeURIComponent(revision)}`
  return `hf://${repository}${at}${file === undefined ? '' : `/${file}`}`
}

/**
 * Parses `hf://owner/name`, `hf://owner/name@REVISION`, the same with a path in the repository after it, and timm's
 * `hf-hub:owner/name`. A slash in a revision is written as %2F, except in refs/pr/1 and refs/convert/parquet.
 * @throws INVALID_ARGUMENT with what is wrong and how it is written
 */
export function parseHubUri(text: string): HubUri {
  if (page.test(text)) throw pageProblem(text)
  const [, rest] = /^(?:hf:\/\/|hf-hub:)([^/].*)$/s.exec(text) ?? []
  if (rest === undefined) throw malformed(text, `it is written ${forms}`)
  const [owner = '', second = '', ...others] = rest.split('/')
  if (/^(datasets|spaces|buckets|kernels|models?)$/.test(owner) && others.length > 0) {
    const cure = owner.startsWith('model') ? `leave out '${owner}/'` : 'weights are in repositories of models'
    throw malformed(text, `'${owner}' is a kind of repository, not an owner; ${cure}`)
  }
  const at = second.indexOf('@')
  const repository = `${owner}/${at === -1 ? second : second.slice(0, at)}`
  checkRepository(repository, text)
  const found = at === -1 ? { file: others } : withRevision([second.slice(at + 1), ...others], text)
  return { repository, ...('revision' in found ? { revision: found.revision } : {}), ...fileOf(found.file, text) }
}

const pullRequest = /^refs\/(?:pr|convert)\/[^/]+$/

/** The revision at the begin of the segments after '@', and the segments after it. */
function withRevision(segments: readonly string[], text: string): { revision: string; file: readonly string[] } {
  const special = segments.slice(0, 3).join('/')
  if (pullRequest.test(special)) return { revision: checkedRevision(special, text), file: segments.slice(3) }
  return { revision: checkedRevision(decoded(segments[0] ?? '', text), text), file: segments.slice(1) }
}

function decoded(segment: string, text: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw malformed(text, `'${segment}' has a '%' that is not followed by two hexadecimal digits`)
  }
}

function checkRepository(repository: string, text: string): void {
  const [owner = '', name = ''] = repository.split('/')
  if (owner === '' || name === '') throw malformed(text, `an owner and a name are needed: ${forms}`)
  const wrong = [owner, name].find(
    (part) => !/^[\w.-]+$/.test(part) || /^[.-]|[.-]$|--|\.\.|\.git$/.test(part) || part.length > 96,
  )
  if (wrong === undefined) return
  const rule = "names have up to 96 letters, digits, '_', '-' and '.', no '--' or '..', and begin and end with neither"
  throw malformed(text, `'${shorten(wrong)}' cannot be the name of an owner or a repository; ${rule}`)
}

function checkedRevision(revision: string, text: string): string {
  if (revision === '') throw malformed(text, "a revision is missing after '@': a branch, a tag or a commit")
  const segments = revision.split('/')
  // it becomes a path in the cache
  if (/^[\w.+/-]{1,200}$/.test(revision) && segments.every(isSegment)) return revision
  throw malformed(text, `'${shorten(revision)}' cannot be a revision: a branch, a tag or a commit`)
}

function fileOf(segments: readonly string[], text: string): { file?: string } {
  if (segments.length === 0 || (segments.length === 1 && segments[0] === '')) return {}
  const file = segments.join('/')
  if (isRepositoryPath(file)) return { file }
  throw malformed(text, `'${shorten(file)}' cannot be the path of a file in a repository`)
}

const isSegment = (segment: string): boolean => segment !== '' && segment !== '.' && segment !== '..'

/** Whether a text is the path of a file in a repository, which stays in every folder that it is appended to. */
export const isRepositoryPath = (file: string): boolean =>
  file.length <= 1000 && !/[\\\p{Cc}]/u.test(file) && file.split('/').every(isSegment)

function pageProblem(text: string): VggError {
  const [owner, name, kind, ...rest] = text
    .replace(page, '')
    .replace(/[?#].*$/s, '')
    .split('/')
  if (!owner || !name) return malformed(text, `it is written ${forms}`)
  const inside = ['resolve', 'blob', 'tree', 'raw'].includes(kind ?? '') && rest.length > 0
  const uri = `hf://${owner}/${name}${inside ? `@${rest.filter(Boolean).join('/')}` : ''}`
  return malformed(text, `it is the address of a page; write ${uri}`)
}

function malformed(text: string, reason: string): VggError {
  return new VggError(
    'INVALID_ARGUMENT',
    `Expected the URI of weights on the Hugging Face hub but received '${shorten(text)}': ${reason}`,
  )
}
