import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { fetchWhole } from '../../lib/weights/hub/hub.js'
import { type Answer, type HubServer, repository, sha256, startHub } from '../setup/hub-server.js'

const weights = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const others = Buffer.alloc(weights.length, 1)
const uri = `hf://${repository}`
const files = { 'model.safetensors': weights, 'config.json': Buffer.from('{}') }

// toEqual takes seconds for so many bytes
const isWeights = (file: string): boolean => readFileSync(file).equals(weights)
const folder = (): string => path.join(process.env.HF_HOME ?? '', 'hub', 'models--owner--vgg16.small')
const blob = (suffix = ''): string => path.join(folder(), 'blobs', `${sha256(weights)}${suffix}`)
const ranges = ({ requests }: HubServer): (string | undefined)[] =>
  requests.filter(({ server }) => server === 'cdn').map(({ headers }) => headers.range)

/** Cuts the connection when so many bytes have arrived. */
const cutAt =
  (hub: HubServer, bytes: number) =>
  ({ received }: { received: number }): void => {
    if (received === bytes) hub.cut()
  }

/** A hub that answers requests for contents in that way. */
async function hubWith(...contents: Answer[]): Promise<HubServer> {
  const hub = await startHub(files)
  hub.contents.push(...contents)
  return hub
}

test('a file is fetched through the redirect into the cache of the hub, and not again', async () => {
  const hub = await startHub(files)
  const progress: { received: number; total: number }[] = []
  const first = await fetchWhole(uri, { onProgress: (one) => void progress.push(one) })
  expect(isWeights(first.path)).toBe(true)
  expect(first).toMatchObject({ file: 'model.safetensors', revision: hub.commit, sha256: sha256(weights) })
  expect(progress.at(-1)).toEqual({ received: weights.length, total: weights.length })
  // the layout that Python reads
  expect(first.path).toBe(path.join(folder(), 'snapshots', hub.commit, 'model.safetensors'))
  expect(readlinkSync(first.path)).toBe(`../../blobs/${sha256(weights)}`)
  expect(readFileSync(path.join(folder(), 'refs/main'), 'utf8')).toBe(hub.commit)

  const { length } = hub.requests
  expect(await fetchWhole(uri)).toMatchObject({ path: first.path, sha256: sha256(weights) })
  expect(hub.sent).toBe(weights.length)
  expect(hub.requests.slice(length).map((one) => one.path)).toEqual([`/api/models/${repository}/revision/main`])
  // a commit never changes: no question
  await fetchWhole(`${uri}@${hub.commit}/model.safetensors`)
  expect(hub.requests.length).toBe(length + 1)
})

test('HF_HUB_CACHE names the cache itself', async () => {
  await startHub(files)
  const cache = path.join(process.env.HF_HOME ?? '', 'elsewhere')
  vi.stubEnv('HF_HUB_CACHE', cache)
  expect((await fetchWhole(uri)).path.startsWith(`${cache}/models--owner--vgg16.small/`)).toBe(true)
})

test('a small file, which the hub keeps in git, has its git hash checked', async () => {
  const hub = await startHub(files)
  expect(readFileSync((await fetchWhole(`${uri}@feature%2Fx/config.json`)).path, 'utf8')).toBe('{}')
  expect(hub.requests[0]?.path).toBe(`/api/models/${repository}/revision/feature/x`)
  hub.commit = 'd'.repeat(40)
  hub.files.set('config.json', Buffer.from('[]'))
  hub.contents.push({ content: Buffer.from('()') })
  await expect(fetchWhole(`${uri}/config.json`)).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
})

describe('the connection', () => {
  test('is cut: the download continues there', async () => {
    const hub = await hubWith({ stallAfter: 100_000 })
    expect(isWeights((await fetchWhole(uri, { onProgress: cutAt(hub, 100_000) })).path)).toBe(true)
    expect(ranges(hub)).toEqual([undefined, 'bytes=100000-299999'])
    expect(hub.requests.at(-1)?.headers['if-range']).toBe(`"${sha256(weights)}"`)
    expect(hub.sent).toBe(weights.length)
  })

  test('is cut, and the server sends whole files only: the bytes that are there are skipped', async () => {
    const hub = await hubWith({ stallAfter: 100_000 }, { ignoresRange: true })
    expect(isWeights((await fetchWhole(uri, { onProgress: cutAt(hub, 100_000) })).path)).toBe(true)
    expect(hub.sent).toBe(400_000)
  })

  test('is cut, and the file has become another one: it is fetched from its begin', async () => {
    const hub = await hubWith(
      { stallAfter: 100_000 },
      { ignoresRange: true, content: others, headers: { ETag: '"other"' } },
    )
    expect(isWeights((await fetchWhole(uri, { onProgress: cutAt(hub, 100_000) })).path)).toBe(true)
    expect(ranges(hub)).toEqual([undefined, 'bytes=100000-299999', undefined])
  })

  test('is aborted: the next download continues there', async () => {
    const hub = await hubWith({ stallAfter: 200_000 })
    const controller = new AbortController()
    const onProgress = ({ received }: { received: number }): void => {
      if (received === 200_000) controller.abort()
    }
    const aborted = fetchWhole(uri, { signal: controller.signal, onProgress })
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    expect(existsSync(blob())).toBe(false)
    expect(isWeights((await fetchWhole(uri)).path)).toBe(true)
    expect(ranges(hub)).toEqual([undefined, 'bytes=200000-299999'])
  })
})

describe('wrong content', () => {
  test('is refused and removed', async () => {
    await hubWith({ content: others })
    const wrong = { code: 'HASH_MISMATCH', message: expect.stringContaining(sha256(others)) }
    await expect(fetchWhole(uri)).rejects.toMatchObject(wrong)
    expect(readdirSync(path.dirname(blob()))).toEqual([])
  })

  test('of an earlier download is replaced', async () => {
    const hub = await startHub(files)
    mkdirSync(path.dirname(blob()), { recursive: true })
    writeFileSync(blob('.vggnet.incomplete'), others.subarray(0, 1000))
    expect(isWeights((await fetchWhole(uri)).path)).toBe(true)
    expect(ranges(hub)).toEqual(['bytes=1000-299999', undefined])
  })

  test.each<[string, Answer]>([
    ['more bytes', { content: Buffer.concat([weights, weights]) }],
    ['more bytes than it says', { content: Buffer.concat([weights, weights]), headers: { 'Content-Length': '' } }],
    ['fewer bytes', { content: weights.subarray(1) }],
    ['compressed bytes', { headers: { 'Content-Encoding': 'gzip' } }],
    ['a redirect without end', { status: 302, headers: { Location: '?again' } }],
  ])('%s: it is refused', async (_, answer) => {
    await hubWith(answer, answer, answer, answer, answer, answer)
    await expect(fetchWhole(uri)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' })
    expect(existsSync(blob())).toBe(false)
  })

  test('larger than the disk: nothing is fetched', async () => {
    const hub = await startHub(files)
    const lfs = { oid: sha256(weights), size: 2 ** 52, pointerSize: 1 }
    const huge = [{ type: 'file', path: 'model.safetensors', size: 2 ** 52, oid: 'a'.repeat(40), lfs }]
    hub.descriptions.push({}, { content: Buffer.from(JSON.stringify(huge)) })
    const full = { code: 'FILE_WRITE', message: expect.stringMatching(/^Expected 4\.00 PiB of free space in /) }
    await expect(fetchWhole(uri)).rejects.toMatchObject(full)
    expect(hub.sent).toBe(0)
  })
})

test('two downloads of one file at once fetch it once', async () => {
  const hub = await startHub(files)
  const [first, second] = await Promise.all([fetchWhole(uri), fetchWhole(uri)])
  expect(second.path).toBe(first.path)
  expect(hub.sent).toBe(weights.length)
})

describe('the file of weights', () => {
  test.each<[string, string[], string]>([
    ['model.safetensors', ['pytorch_model.bin', 'other.safetensors', 'model.safetensors'], 'model.safetensors'],
    ['the only .safetensors', ['pytorch_model.bin', 'vgg.safetensors'], 'vgg.safetensors'],
    ['pytorch_model.bin', ['vgg.pth', 'pytorch_model.bin'], 'pytorch_model.bin'],
    ['the only .h5', ['README.md', 'vgg16.weights.h5'], 'vgg16.weights.h5'],
  ])('is %s', async (_, names, expected) => {
    await startHub(Object.fromEntries(names.map((name) => [name, weights])))
    expect((await fetchWhole(uri)).file).toBe(expected)
  })

  test.each<[string, string[], RegExp]>([
    [
      'is one of several',
      ['a.pth', 'b.pth'],
      /several files of weights: a\.pth, b\.pth; name one, as in hf:\/\/owner\/vgg16\.small\/a\.pth$/,
    ],
    ['is missing', ['README.md'], /no file of weights; its files: README\.md$/],
  ])('%s: the error lists the files', async (_, names, message) => {
    await startHub(Object.fromEntries(names.map((name) => [name, weights])))
    await expect(fetchWhole(uri)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringMatching(message),
    })
  })
})

describe('without the hub', () => {
  test('cached files are used, by their names', async () => {
    const hub = await startHub(files)
    const { path: fetched } = await fetchWhole(uri)
    const { length } = hub.requests
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    expect(await fetchWhole(uri)).toMatchObject({ path: fetched, revision: hub.commit, bytes: 0 })
    expect((await fetchWhole(`${uri}@${hub.commit}/model.safetensors`)).path).toBe(fetched)
    expect(hub.requests.length).toBe(length)
    const missing = {
      code: 'FILE_NOT_FOUND',
      message: expect.stringMatching(
        /^The cache has no weights of 'owner\/vgg16\.small' at v2.*`hf download owner\/vgg16\.small --revision v2`/,
      ),
    }
    await expect(fetchWhole(`${uri}@v2`)).rejects.toMatchObject(missing)
    const other = {
      code: 'FILE_NOT_FOUND',
      message: expect.stringMatching(/^The cache has no other\.pth of 'owner\/vgg16\.small' at main/),
    }
    await expect(fetchWhole(`${uri}/other.pth`)).rejects.toMatchObject(other)
  })

  test('an unreachable hub is an error only if the file is not cached', async () => {
    const { endpoint } = await startHub(files)
    const { path: fetched } = await fetchWhole(uri)
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:2')
    expect((await fetchWhole(uri)).path).toBe(fetched)
    const unreachable = { code: 'DOWNLOAD_FAILED', message: expect.stringMatching(/^127\.0\.0\.1:2 cannot be reached/) }
    await expect(fetchWhole(`${uri}@v2`)).rejects.toMatchObject(unreachable)
    expect(endpoint).not.toBe('http://127.0.0.1:2')
  })
})
