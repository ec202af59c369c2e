// A server that answers as a hub should not: descriptions, headers, redirects, bodies, by fast-check. Whatever it sends, the weights
// are those whose hash it states, or the call rejects with a VggError; nothing is written outside the caches, and no other host gets
// the token.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import path from 'node:path'
import fc from 'fast-check'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { encode } from '../../lib/checkpoint/safetensors.js'
import { VggError } from '../../lib/error.js'
import { fetchTensors, fetchWhole } from '../../lib/weights/hub/hub.js'
import { newFolder } from '../setup/folder.js'
import { casesOf, seed } from './cases.js'

const weights = Buffer.from(
  encode(['a', 'b'].map((name) => ({ name, dtype: 'F32', shape: [4], data: Float32Array.of(1, 2, 3, 4) }))),
)
const sha = createHash('sha256').update(weights).digest('hex')
const commit = 'c'.repeat(40)
const token = 'hf_secretSecret'
const codes = ['DOWNLOAD_FAILED', 'HASH_MISMATCH', 'FILE_NOT_FOUND', 'FILE_FORMAT']

/** One answer of the server; without it, what a hub would answer. */
interface Answer {
  readonly status?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** Sent as it is, instead of HTTP. */
  readonly raw?: Buffer
}

interface Hub {
  /** Answers of the next requests. */
  answers: Answer[]
  readonly port: number
  readonly authorizations: string[]
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const siblings = [{ rfilename: 'model.safetensors' }, { rfilename: 'README.md' }]
const entry = { type: 'file', path: 'model.safetensors', size: weights.length, oid: 'a'.repeat(40) }
const description = { _id: '1', id: 'o/n', sha: commit, private: false, gated: false, downloads: 1, likes: 1 }
const described = { ...description, lastModified: new Date(0).toISOString(), siblings }
const paths = [{ ...entry, lfs: { oid: sha, size: weights.length, pointerSize: 134 } }]

/** What a hub would answer to this request. */
function usual(request: string): Required<Omit<Answer, 'raw'>> {
  if (request.includes('/paths-info/')) return { status: '200 OK', headers: {}, body: json(paths) }
  if (request.startsWith('GET /api/')) return { status: '200 OK', headers: {}, body: json(described) }
  const [, first, last] = /\r\nrange: bytes=(\d+)-(\d+)/i.exec(request) ?? []
  if (first === undefined) return { status: '200 OK', headers: { ETag: '"e"' }, body: weights }
  const range = { ETag: '"e"', 'Content-Range': `bytes ${first}-${last}/${weights.length}` }
  return { status: '206 Partial Content', headers: range, body: weights.subarray(Number(first), Number(last) + 1) }
}

function answer(hub: Hub, request: string, socket: Socket): void {
  const { raw, ...given } = hub.answers.shift() ?? {}
  hub.authorizations.push(...(/\r\nauthorization: (.*)\r\n/i.exec(request)?.slice(1) ?? []))
  const { status, headers, body } = { ...usual(request), ...given }
  const lines = Object.entries({ 'Content-Length': String(body.length), Connection: 'close', ...headers })
  const head = `HTTP/1.1 ${status}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  socket.end(raw ?? Buffer.concat([Buffer.from(head, 'latin1'), body]))
}

async function startServer(): Promise<Hub> {
  const hub: Hub = { answers: [], port: 0, authorizations: [] }
  const server = createServer((socket) => {
    let text = ''
    socket.setEncoding('latin1').on('error', () => undefined)
    socket.on('data', (part) => {
      text += part
      const [head = '', body] = text.split('\r\n\r\n')
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (body !== undefined && body.length >= length) answer(hub, `${head}\r\n`, socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return Object.assign(hub, { port: (server.address() as { port: number }).port })
}

const hostile = fc.oneof(
  fc.constantFrom(
    null,
    -1,
    0,
    2 ** 53,
    1e308,
    true,
    '',
    '..',
    '../../x',
    '/etc/passwd',
    'a\u0000\u001b[2J',
    '__proto__',
    [],
    {},
  ),
  fc.constantFrom('main', commit, sha, 'x'.repeat(70_000), [null], { oid: null }, [[[[]]]]),
  fc.jsonValue(),
)
const changed = (value: object) =>
  fc
    .dictionary(fc.constantFrom(...Object.keys(value)), hostile, { minKeys: 1, maxKeys: 2 })
    .map((changes) => ({ ...value, ...changes }))
const text = fc.oneof(
  changed(described),
  fc
    .array(fc.oneof(changed({ rfilename: 'a' }), hostile), { maxLength: 4 })
    .map((files) => ({ ...described, siblings: files })),
  fc.array(fc.oneof(changed(entry), changed(paths[0] as object), hostile), { maxLength: 4 }),
  hostile,
)
const nested = Buffer.from('['.repeat(2 ** 20))
const body = fc.oneof(
  text.map(json),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.nat({ max: weights.length }).map((end) => weights.subarray(0, end)),
  fc.constantFrom(nested, Buffer.concat([weights, weights]), Buffer.from('<html>'), Buffer.from('\ufeff{}')),
)

/** Arbitrary answers of a hub; it and `other` are the only addresses to which they redirect. */
function answersOf(other: Hub): fc.Arbitrary<Answer> {
  const locations = [
    '',
    '/',
    '//',
    'http://',
    'file:///etc/passwd',
    'data:,x',
    'http://me:x@127.0.0.1/',
    '?',
    '/api/models/x',
  ]
  const location = fc.constantFrom(
    ...locations,
    `http://127.0.0.1:${other.port}/x`,
    'http://127.0.0.1:1/',
    '/%',
    'a'.repeat(9000),
  )
  const values = [
    '',
    '0',
    '-1',
    '1',
    '99999999999999999999',
    'bytes 0-1/2',
    'bytes */5',
    '"x"',
    'W/"x"',
    'gzip',
    'br',
    'chunked',
    'x',
  ]
  const value = fc.constantFrom(...values, 'x'.repeat(20_000), 'Thu, 01 Jan 1970 00:00:00 GMT')
  const names = ['ETag', 'Content-Length', 'Content-Range', 'Content-Encoding', 'Transfer-Encoding', 'X-Error-Code']
  const headers = fc
    .tuple(
      location,
      fc.dictionary(fc.constantFrom(...names, 'Retry-After', 'Link', 'X-Error-Message', 'Content-Type'), value, {
        maxKeys: 2,
      }),
    )
    .map(([Location, more]) => ({ Location, ...more }))
  const status = fc.constantFrom(
    '200 OK',
    '206 Partial',
    '204 None',
    '205 Reset',
    '299 X',
    '301 Moved',
    '302 Found',
    '304 Same',
  )
  const refusals = fc.constantFrom(
    '308 There',
    '400 Bad',
    '401 No',
    '403 No',
    '404 No',
    '410 Gone',
    '416 Range',
    '451 No',
  )
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom(
        '',
        'HTTP/1.1 200 OK\r\n',
        'HTTP/9.9 999 \r\n\r\n',
        'HTTP/1.1 200 OK\r\nA:b',
        `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(5000)}\r\n`,
      )
      .map((head) => Buffer.from(head)),
  )
  return fc.oneof(
    { weight: 6, arbitrary: body.map((bytes) => ({ body: bytes })) },
    {
      weight: 4,
      arbitrary: fc.record({ status: fc.oneof(status, refusals), headers, body }, { requiredKeys: ['headers'] }),
    },
    { weight: 1, arbitrary: raw.map((bytes) => ({ raw: bytes })) },
  )
}

beforeAll(() => {
  for (const name of ['HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_TOKEN_PATH', 'HF_HUB_OFFLINE'])
    vi.stubEnv(name, undefined)
  vi.stubEnv('HF_TOKEN', token)
  return () => void vi.unstubAllEnvs()
})

test('a hostile hub: the weights, or a VggError', async () => {
  const [hub, other] = [await startServer(), await startServer()]
  const folder = newFolder()
  const home = path.join(folder, 'home')
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${hub.port}`)
  vi.stubEnv('HF_HOME', path.join(home, 'hf'))
  vi.stubEnv('VGGNET_CACHE', path.join(home, 'vggnet'))
  const outcomes: Record<string, number> = {}
  const fetched = async (part: boolean): Promise<string> => {
    try {
      const found = part ? await fetchTensors('hf://o/n', () => ['a']) : await fetchWhole('hf://o/n')
      const read = createHash('sha256').update(readFileSync(found.path)).digest('hex')
      if (found.sha256 !== undefined && found.ranges === undefined) expect(read).toBe(found.sha256)
      return 'fetched'
    } catch (error) {
      if (!(error instanceof VggError && codes.includes(error.code))) throw error
      expect(error.message.length).toBeLessThan(3000)
      expect(error.message).not.toContain(token)
      return error.code
    }
  }
  const answers = answersOf(other)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(answers, { nil: {}, freq: 2 }), { minLength: 1, maxLength: 4 }),
      fc.array(answers, { maxLength: 1 }),
      fc.boolean(),
      async (own, redirected, part) => {
        rmSync(home, { recursive: true, force: true })
        mkdirSync(home)
        Object.assign(hub, { answers: [...own] })
        Object.assign(other, { answers: [...redirected] })
        const outcome = await fetched(part)
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
        expect(readdirSync(folder)).toEqual(['home'])
        expect(readdirSync(home).filter((name) => !['hf', 'vggnet'].includes(name))).toEqual([])
        expect(other.authorizations).toEqual([])
      },
    ),
    { seed, numRuns: casesOf({ sample: 60, whole: 5000 }) },
  )
  console.log(JSON.stringify(outcomes))
  expect(outcomes.fetched).toBeGreaterThan(0)
}, 7_200_000)
