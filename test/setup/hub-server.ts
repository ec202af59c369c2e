import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished, vi } from 'vitest'
import { newFolder } from './folder.js'

/** How one request is answered; what is left out is answered as the hub does. */
export interface Answer {
  readonly status?: number
  /** Headers, '' for one that is left out. */
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes of the body after which nothing more comes, until the connection is cut. */
  readonly stallAfter?: number
  readonly ignoresRange?: true
  /** Other bytes than those of the file. */
  readonly content?: Buffer
  /** Called before it is answered. */
  readonly before?: () => void
}

export interface HubRequest {
  readonly server: 'hub' | 'cdn'
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
}

/** A hub with one repository, and another host to which it redirects requests for large files. */
export interface HubServer {
  readonly endpoint: string
  readonly cdn: string
  /** Name and content of the files. */
  readonly files: Map<string, Buffer>
  commit: string
  /** Answers of the next requests for a description, and for a content. When they are used up, all is answered as it should. */
  readonly descriptions: Answer[]
  readonly contents: Answer[]
  /** Location to which a request for a large file is redirected, instead of the content on the other host. */
  location: string | undefined
  readonly requests: HubRequest[]
  /** Number of bytes of contents that were sent. */
  sent: number
  /** Cuts the connections on which nothing more comes. */
  cut: () => void
}

export const repository = 'owner/vgg16.small'
const branches = ['main', 'refs/pr/1', 'feature/x']
const isLarge = (file: string): boolean => /\.(safetensors|bin|pth|h5)$/.test(file)
export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const gitHash = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

/**
 * Starts a hub that ends with the test, and sets the environment so that it is used, with empty caches.
 * @param files the files of `repository`
 */
export async function startHub(files: Readonly<Record<string, Buffer>>): Promise<HubServer> {
  const hub = {
    files: new Map(Object.entries(files)),
    commit: 'c'.repeat(40),
    location: undefined,
    sent: 0,
    cut: () => undefined,
  }
  const lists = { descriptions: [], contents: [], requests: [] }
  const served: HubServer = Object.assign(hub, lists, {
    endpoint: await listening((...pair) => answerHub(served, ...pair)),
    cdn: await listening((...pair) => answerCdn(served, ...pair)),
  })
  const folder = newFolder()
  const environment = { HF_ENDPOINT: served.endpoint, HF_HOME: `${folder}/hf`, VGGNET_CACHE: `${folder}/vggnet` }
  const unset = {
    HF_HUB_CACHE: undefined,
    HUGGINGFACE_HUB_CACHE: undefined,
    HF_TOKEN: undefined,
    HF_TOKEN_PATH: undefined,
  }
  for (const [name, value] of Object.entries({ ...environment, ...unset, HF_HUB_OFFLINE: undefined }))
    vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  return served
}

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function answerHub(hub: HubServer, request: IncomingMessage, response: ServerResponse): unknown {
  const path = decodeURIComponent((request.url ?? '').replace(/\?.*/, ''))
  hub.requests.push({ server: 'hub', method: request.method ?? '', path, headers: request.headers })
  const [, kind, revision = ''] = /^\/api\/models\/owner\/vgg16\.small\/(revision|paths-info)\/(.+)$/.exec(path) ?? []
  if (kind === undefined && !path.includes('/resolve/')) return refuse(response, 401, 'RepoNotFound')
  if (kind !== undefined) {
    const answer = hub.descriptions.shift() ?? {}
    answer.before?.()
    if (answer.status !== undefined) return response.writeHead(answer.status, answer.headers).end(answer.content)
    if (answer.content !== undefined) return json(response, answer.content)
    if (!branches.includes(revision) && revision !== hub.commit) return refuse(response, 404, 'RevisionNotFound')
    if (kind === 'revision') return json(response, description(hub))
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    return request.on('end', () => json(response, pathsInfo(hub, JSON.parse(body).paths)))
  }
  const [, commit = '', file = ''] = /^\/owner\/vgg16\.small\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? []
  const bytes = hub.files.get(file)
  if (bytes === undefined || commit !== hub.commit) return refuse(response, 404, 'EntryNotFound')
  if (!isLarge(file)) return send(hub, { bytes, etag: `"${gitHash(bytes)}"` }, request, response)
  const linked = { 'X-Repo-Commit': commit, 'X-Linked-Etag': `"${sha256(bytes)}"`, 'X-Linked-Size': bytes.length }
  response
    .writeHead(302, { ...linked, Location: hub.location ?? `${hub.cdn}/${encodeURIComponent(file)}?signature=1` })
    .end()
}

function answerCdn(hub: HubServer, request: IncomingMessage, response: ServerResponse): unknown {
  const path = decodeURIComponent((request.url ?? '').replace(/\?.*/, ''))
  hub.requests.push({ server: 'cdn', method: request.method ?? '', path, headers: request.headers })
  const bytes = hub.files.get(path.slice(1))
  if (bytes === undefined) return refuse(response, 403, '')
  return send(hub, { bytes, etag: `"${sha256(bytes)}"` }, request, response)
}

function refuse(response: ServerResponse, status: number, code: string): unknown {
  return response.writeHead(status, code === '' ? {} : { 'X-Error-Code': code }).end()
}

function json(response: ServerResponse, value: unknown): unknown {
  response.setHeader('Content-Type', 'application/json')
  return response.end(value instanceof Buffer ? value : JSON.stringify(value))
}

const description = ({ commit, files }: HubServer): unknown => ({
  ...{ _id: '1', id: repository, sha: commit, private: false, gated: false, downloads: 1, likes: 1 },
  lastModified: '2026-11-30T00:00:00.000Z',
  siblings: [...files.keys()].map((rfilename) => ({ rfilename })),
})

function pathsInfo({ files }: HubServer, paths: readonly string[]): unknown[] {
  return paths.flatMap((path) => {
    const bytes = files.get(path)
    if (bytes === undefined) return []
    const lfs = isLarge(path) ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } } : {}
    return [{ type: 'file', path, size: bytes.length, oid: gitHash(bytes), ...lfs }]
  })
}

interface Content {
  readonly bytes: Buffer
  readonly etag: string
}

function send(hub: HubServer, file: Content, request: IncomingMessage, response: ServerResponse): unknown {
  const answer = hub.contents.shift() ?? {}
  answer.before?.()
  const { status = 200 } = answer
  if (status >= 300) return response.writeHead(status, answer.headers).end()
  const bytes = answer.content ?? file.bytes
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const same = request.headers['if-range'] === undefined || request.headers['if-range'] === file.etag
  const ranged = first !== undefined && same && !answer.ignoresRange
  const part = ranged ? bytes.subarray(Number(first), Number(last) + 1) : bytes
  const range = ranged ? { 'Content-Range': `bytes ${first}-${last}/${bytes.length}` } : {}
  const headers = { ETag: file.etag, 'Content-Length': String(part.length), ...range, ...answer.headers }
  response.writeHead(
    ranged ? 206 : 200,
    Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== '')),
  )
  const end = answer.stallAfter ?? part.length
  hub.sent += end
  if (answer.stallAfter === undefined) return response.end(part)
  hub.cut = () => response.destroy()
  response.flushHeaders()
  return response.write(part.subarray(0, end))
}
