import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { fetchTensors, fetchWhole } from '../../lib/weights/hub/hub.js'
import { Transport } from '../../lib/weights/hub/transport.js'
import { parseHubUri } from '../../lib/weights/hub/uri.js'
import { type Answer, type HubServer, repository, startHub } from '../setup/hub-server.js'

const weights = Buffer.alloc(3_000_000, 3)
const files = { 'model.safetensors': weights }
const uri = `hf://${repository}`
const secret = 'hf_secretSecret'

describe('a refusal', () => {
  const of = (status: number, code: string, headers = {}): Answer => ({
    status,
    headers: { 'X-Error-Code': code, ...headers },
  })
  test.each<[string, Answer, string, RegExp]>([
    [
      'an unknown or private repository',
      of(401, 'RepoNotFound'),
      'DOWNLOAD_FAILED',
      /shows no repository 'owner\/vgg16\.small' \(status 401\): check the name; .*set HF_TOKEN/,
    ],
    [
      'a gated repository',
      of(403, 'GatedRepo'),
      'DOWNLOAD_FAILED',
      /is gated or private: accept its terms at http:\/\/127\.0\.0\.1:\d+\/owner\/vgg16\.small, and set HF_TOKEN/,
    ],
    [
      'a gated repository, without a token',
      of(401, 'GatedRepo'),
      'DOWNLOAD_FAILED',
      /is gated or private: accept its terms at/,
    ],
    [
      'an unknown revision',
      of(404, 'RevisionNotFound'),
      'FILE_NOT_FOUND',
      /has no revision 'v9'; http:\S+\/tree\/main lists its branches and tags$/,
    ],
    [
      'an unknown repository',
      of(404, 'RepoNotFound'),
      'FILE_NOT_FOUND',
      /has no model repository 'owner\/vgg16\.small', or no revision 'v9' of it; check the owner/,
    ],
    [
      'another status',
      of(451, '', { 'X-Error-Message': 'not\there' }),
      'DOWNLOAD_FAILED',
      /answered the request for hf:\/\/owner\/vgg16\.small@v9 with status 451: not\\x09here$/,
    ],
    [
      'too many requests',
      of(429, '', { 'Retry-After': '3600' }),
      'DOWNLOAD_FAILED',
      /limits the number of requests \(status 429\): try again in 3600 s; with HF_TOKEN set, more requests are allowed$/,
    ],
  ])('of %s', async (_, answer, code, message) => {
    const hub = await startHub(files)
    hub.descriptions.push(answer)
    await expect(fetchWhole(`${uri}@v9`)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(hub.requests.length).toBe(1)
  })

  test('of a file that is not in the repository lists those that are', async () => {
    await startHub(files)
    const missing = {
      code: 'FILE_NOT_FOUND',
      message: "'owner/vgg16.small' has no file vgg.pth; its files: model.safetensors",
    }
    await expect(fetchWhole(`${uri}/vgg.pth`)).rejects.toMatchObject(missing)
    await expect(fetchTensors(`${uri}/vgg.pth`, () => [])).rejects.toMatchObject(missing)
  })

  test('of too many requests is waited for as long as the hub asks', async () => {
    const hub = await startHub(files)
    const busy = { status: 429, headers: { 'Retry-After': '0' } }
    hub.descriptions.push(busy, { status: 429, headers: { 'Retry-After': new Date().toUTCString() } }, busy)
    hub.contents.push(busy)
    expect((await fetchWhole(uri)).revision).toBe(hub.commit)
  })
})

describe('an answer that is not that of a hub', () => {
  test.each<[string, Answer, string]>([
    ['a page', { content: Buffer.from('<html>Log in</html>') }, 'is not valid JSON'],
    ['no commit', { content: Buffer.from('{"sha":"main","siblings":[]}') }, 'it names no commit'],
    ['null', { content: Buffer.from('null') }, 'null'],
    ['more than 8 MiB', { content: Buffer.alloc(2 ** 23 + 1) }, 'more than 8388608 bytes'],
  ])('%s', async (_, answer, message) => {
    const hub = await startHub(files)
    hub.descriptions.push(answer)
    const refused = { code: 'DOWNLOAD_FAILED', message: expect.stringContaining(message) }
    await expect(fetchWhole(uri)).rejects.toMatchObject(refused)
  })

  test.each([
    ['no size', { size: -1, oid: 'a'.repeat(40) }],
    ['no hash', { size: 5, oid: '../../x' }],
    ['a hash that is a path', { size: 5, lfs: { oid: '/etc/passwd' } }],
  ])('%s of a file', async (_, entry) => {
    const hub = await startHub(files)
    const answer = [{ type: 'file', path: 'model.safetensors', ...entry }]
    hub.descriptions.push({}, { content: Buffer.from(JSON.stringify(answer)) })
    const message = expect.stringContaining('it states no size and hash of model.safetensors')
    await expect(fetchWhole(uri)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED', message })
  })
})

describe('the token', () => {
  const sent = ({ requests }: HubServer): Set<string> =>
    new Set(requests.map(({ server, headers }) => `${server} ${headers.authorization}`))

  test('of HF_TOKEN is sent to the endpoint only, and is in no message', async () => {
    vi.stubEnv('HF_TOKEN', secret)
    const hub = await startHub(files)
    vi.stubEnv('HF_TOKEN', ` ${secret}\n`)
    await fetchWhole(uri)
    expect(sent(hub)).toEqual(new Set([`hub Bearer ${secret}`, 'cdn undefined']))
    for (const status of [400, 401, 403, 404]) {
      hub.descriptions.push({ status })
      const error: Error = await fetchWhole(`${uri}@v2`).catch((thrown) => thrown)
      expect(error).toBeInstanceOf(Error)
      expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('ecretSecret')
    }
  })

  test('of the login is used', async () => {
    const hub = await startHub(files)
    const home = process.env.HF_HOME ?? ''
    mkdirSync(home, { recursive: true })
    writeFileSync(path.join(home, 'token'), `${secret}\n`)
    await fetchWhole(uri)
    expect(sent(hub)).toContain(`hub Bearer ${secret}`)
  })

  test('that is none, and an endpoint that is none, are refused without being shown', async () => {
    await startHub(files)
    vi.stubEnv('HF_TOKEN', `${secret} and more`)
    const token = 'Expected a token of the hub in HF_TOKEN, such as hf_..., without spaces or line breaks in it'
    await expect(fetchWhole(uri)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: token })
    vi.stubEnv('HF_TOKEN', '')
    for (const endpoint of [`https://me:${secret}@hub.example`, 'hub.example', 'file:///x', 'https://hub.example?x']) {
      vi.stubEnv('HF_ENDPOINT', endpoint)
      const message = expect.stringMatching(/^Expected the address of a hub in HF_ENDPOINT; (?!.*ecret)/)
      await expect(fetchWhole(uri)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message })
    }
  })
})

test('a redirect to an address that is none is refused', async () => {
  const hub = await startHub(files)
  for (const location of ['file:///etc/passwd', 'http://', 'http://me:x@127.0.0.1/']) {
    hub.location = location
    const message = expect.stringContaining('redirected to an address that cannot be followed')
    await expect(fetchWhole(uri)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED', message })
  }
})

test('without the package of the hub, the error has the command that installs it', async () => {
  await startHub(files)
  vi.doMock('@huggingface/hub', () => {
    throw new Error('not installed')
  })
  const missing = { code: 'MISSING_TOOL', message: expect.stringMatching(/: npm install @huggingface\/hub$/) }
  await expect(fetchWhole(uri)).rejects.toMatchObject(missing)
  vi.doUnmock('@huggingface/hub')
})

describe('the transport', () => {
  const timing = { idle: 60_000, pauses: [1, 1], longestPause: 1000 }
  const span = { begin: 0, end: weights.length, size: weights.length, whole: 'refuse' } as const

  const environmentOf = ({ endpoint }: HubServer) => ({ endpoint, token: undefined, offline: false })

  /** Number of bytes that arrive. @param cuts numbers of bytes after which the connection is cut */
  async function lengthOf(hub: HubServer, signal?: AbortSignal, limits = timing, cuts: number[] = []): Promise<number> {
    hub.contents.push(...cuts.map((bytes, i) => ({ stallAfter: bytes - (cuts[i - 1] ?? 0) })))
    const transport = new Transport({ environment: environmentOf(hub), uri: parseHubUri(uri) }, signal, limits)
    let length = 0
    for await (const bytes of transport.bytes(`${hub.cdn}/model.safetensors`, span)) {
      length += bytes.length
      if (cuts.includes(length)) hub.cut()
    }
    return length
  }

  test('tries again after faults of the server, as often as there are pauses', async () => {
    const hub = await startHub(files)
    hub.contents.push({ status: 503 }, { status: 500 })
    expect(await lengthOf(hub)).toBe(weights.length)
    hub.contents.push({ status: 503 }, { status: 502 }, { status: 504 })
    const failed = {
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(/ answered with status 504; try again later$/),
    }
    await expect(lengthOf(hub)).rejects.toMatchObject(failed)
  })

  test('counts a cut as the first after each MiB', async () => {
    const hub = await startHub(files)
    expect(await lengthOf(hub, undefined, timing, [1_200_000, 2_400_000, 2_500_000])).toBe(weights.length)
    const failed = { code: 'DOWNLOAD_FAILED', message: expect.stringMatching(/^The connection to .* broke: /) }
    await expect(lengthOf(hub, undefined, timing, [10, 20, 30])).rejects.toMatchObject(failed)
  })

  test('ends a request for which no byte comes, and continues', async () => {
    const hub = await startHub(files)
    hub.contents.push({ stallAfter: 1000 })
    // many attempts, for a busy machine
    const impatient = { ...timing, idle: 300, pauses: Array.from({ length: 50 }, () => 1) }
    expect(await lengthOf(hub, undefined, impatient)).toBe(weights.length)
    expect(hub.requests.length).toBeGreaterThan(1)
    hub.contents.push({ stallAfter: 0 })
    const silent = { code: 'DOWNLOAD_FAILED', message: 'No byte came for 0.3 s; check the network, and try again' }
    await expect(lengthOf(hub, undefined, { ...timing, idle: 300, pauses: [] })).rejects.toMatchObject(silent)
  })

  test('tries again when the network is lost during a download, not when it was never there', async () => {
    const hub = await startHub(files)
    const transport = new Transport({ environment: environmentOf(hub), uri: parseHubUri(uri) }, undefined, timing)
    const content = `${hub.endpoint}/${repository}/resolve/${hub.commit}/model.safetensors`
    hub.location = 'http://127.0.0.1:2/'
    const unreachable = { code: 'DOWNLOAD_FAILED', message: expect.stringMatching(/^127\.0\.0\.1:2 cannot be reached/) }
    await expect(transport.bytes(content, span).next()).rejects.toMatchObject(unreachable)
    expect(hub.requests.length).toBe(1)
    await transport.fetch(`${hub.cdn}/model.safetensors`)
    await expect(transport.bytes(content, span).next()).rejects.toMatchObject(unreachable)
    expect(hub.requests.length).toBe(1 + 1 + 3)
  })

  test('is aborted while it waits for a byte, and before it begins', async () => {
    const hub = await startHub(files)
    const controller = new AbortController()
    hub.contents.push({ stallAfter: 0, before: () => controller.abort() })
    await expect(lengthOf(hub, controller.signal)).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(lengthOf(hub, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('is aborted during a pause', async () => {
    const hub = await startHub(files)
    const controller = new AbortController()
    hub.contents.push({ status: 503, before: () => setTimeout(() => controller.abort(), 50) })
    const slow = { ...timing, pauses: [600_000], longestPause: 600_000 }
    await expect(lengthOf(hub, controller.signal, slow)).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
