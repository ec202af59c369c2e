import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { encode, headerOf, lengthBytes, type NamedTensor } from '../../lib/checkpoint/safetensors.js'
import { openSafetensors } from '../../lib/weights/containers/safetensors.js'
import { fetchTensors, fetchWhole } from '../../lib/weights/hub/hub.js'
import { type Answer, type HubServer, repository, sha256, startHub } from '../setup/hub-server.js'

const tensor = (name: string, shape: readonly number[], first: number): NamedTensor => {
  const length = shape.reduce((product, side) => product * side, 1)
  return { name, dtype: 'F32', shape, data: Float32Array.from({ length }, (_, i) => first + i) }
}

// as in VGG-16: nine tenths of the bytes are of the head, which is stored after the features
const features = [tensor('features.0.bias', [8], 1), tensor('features.0.weight', [8, 3, 3, 3], 100)]
const deeper = [tensor('features.10.bias', [16], 7), tensor('features.10.weight', [16, 8, 3, 3], 1000)]
const head = [tensor('head.fc.bias', [10], 5), tensor('pre_logits.fc1.weight', [256, 1024], 0)]
const file = Buffer.from(encode([...features, ...deeper, ...head], { format: 'pt' }))
const start = lengthBytes + Number(file.readBigUInt64LE(0))
const featureBytes = 4 * (8 + 8 * 27 + 16 + 16 * 72)
const uri = `hf://${repository}`
const ofFeatures = (tensors: readonly { readonly name: string }[]): string[] =>
  tensors.map(({ name }) => name).filter((name) => name.startsWith('features.'))

const contentRanges = ({ requests }: HubServer): (string | undefined)[] =>
  requests.filter(({ server }) => server === 'cdn').map(({ headers }) => headers.range)

async function read(
  path: string,
): Promise<{ metadata: Readonly<Record<string, string>>; values: Record<string, number[]> }> {
  const opened = await openSafetensors(path)
  const values: Record<string, number[]> = {}
  for (const one of opened.tensors) {
    const into = new Float32Array(one.shape.reduce((product, side) => product * side, 1))
    await opened.read(one, into, 0)
    values[one.name] = [...into]
  }
  await opened.close()
  return { metadata: opened.metadata, values }
}

const expected = Object.fromEntries([...features, ...deeper].map(({ name, data }) => [name, [...data].map(Number)]))

test('only the header and the bytes of the chosen tensors are transferred', async () => {
  const hub = await startHub({ 'model.safetensors': file })
  const progress: { received: number; total: number }[] = []
  const part = await fetchTensors(uri, ofFeatures, { onProgress: (one) => void progress.push(one) })
  const { metadata, values } = await read(part.path)
  expect(values).toEqual(expected)
  // 4 kB hold the header; the features are one range, since they are neighbours
  expect(contentRanges(hub)).toEqual(['bytes=0-4095', `bytes=${start}-${start + featureBytes - 1}`])
  expect(hub.sent).toBe(4096 + featureBytes)
  expect(hub.sent).toBeLessThan(file.length / 100)
  expect(progress.at(-1)).toEqual({ received: featureBytes, total: featureBytes })
  const ranges = `${start}-${start + featureBytes - 1}`
  expect(part).toMatchObject({ repository, file: 'model.safetensors', revision: hub.commit, ranges })
  expect(part.sha256).toBeUndefined()
  expect(metadata).toEqual({
    format: 'pt',
    'hub.endpoint': hub.endpoint,
    'hub.repository': repository,
    'hub.revision': hub.commit,
    'hub.file': 'model.safetensors',
    'hub.ranges': ranges,
    'hub.whole': expect.stringMatching(
      new RegExp(`^${file.length} bytes with the hash ${sha256(file)}, which was not checked`),
    ),
  })

  // again: only the question which commit is the newest; offline: none
  const again = await fetchTensors(uri, ofFeatures)
  expect(again.path).toBe(part.path)
  vi.stubEnv('HF_HUB_OFFLINE', '1')
  expect(await fetchTensors(uri, ofFeatures)).toMatchObject({ path: part.path, revision: hub.commit, bytes: 0 })
  expect(hub.sent).toBe(4096 + featureBytes)
  const missing = { code: 'FILE_NOT_FOUND', message: expect.stringContaining('The cache has no model.safetensors') }
  await expect(fetchTensors(uri, () => ['head.fc.bias'])).rejects.toMatchObject(missing)
})

test('tensors that are no neighbours are ranges of their own', async () => {
  const hub = await startHub({ 'model.safetensors': file })
  const { path: part } = await fetchTensors(uri, () => ['head.fc.bias', 'features.0.bias'])
  expect((await read(part)).values).toEqual({
    'features.0.bias': [1, 2, 3, 4, 5, 6, 7, 8],
    'head.fc.bias': [5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
  })
  expect(hub.sent).toBe(4096 + 32 + 40)
})

test('half precision, and a header of more than 4 kB', async () => {
  const half = { dtype: 'F16', shape: [2], begin: 0, end: 4 }
  const entries = [
    { name: 'half', ...half },
    { name: 'brain', ...half, dtype: 'BF16', begin: 4, end: 8 },
  ]
  const rest = { name: 'rest', dtype: 'I64', shape: [1000], begin: 8, end: 8008 }
  const header = headerOf([...entries, rest], { note: 'x'.repeat(5000) })
  const bytes = Buffer.from([0x00, 0x3c, 0x00, 0xc0, 0x80, 0x3f, 0x00, 0xc0])
  const hub = await startHub({ 'model.safetensors': Buffer.concat([header, bytes, Buffer.alloc(8000)]) })
  const { path: part } = await fetchTensors(uri, () => ['half', 'brain'])
  expect((await read(part)).values).toEqual({ half: [1, -2], brain: [1, -2] })
  expect(readFileSync(part).subarray(-8)).toEqual(bytes)
  expect(hub.sent).toBe(header.length + 8)
})

describe('the whole file', () => {
  test('is used where it is cached', async () => {
    const hub = await startHub({ 'model.safetensors': file })
    const { path: whole } = await fetchWhole(uri)
    const choose = vi.fn(ofFeatures)
    expect(await fetchTensors(uri, choose)).toMatchObject({ path: whole, sha256: sha256(file) })
    expect(choose).not.toHaveBeenCalled()
    expect(hub.sent).toBe(file.length)
  })

  test('is fetched where the server sends no ranges, which is reported', async () => {
    const hub = await startHub({ 'model.safetensors': file })
    hub.contents.push({ ignoresRange: true })
    const remark = expect.stringMatching(
      /^model\.safetensors was fetched as a whole: 127\.0\.0\.1:\d+ sends whole files only/,
    )
    expect(await fetchTensors(uri, ofFeatures)).toMatchObject({ sha256: sha256(file), remark })
  })

  test.each<[string, Buffer, typeof ofFeatures]>([
    ['all tensors are chosen', file, (tensors) => tensors.map(({ name }) => name)],
    [
      'it is one of ours, which has checksums',
      Buffer.from(encode([...features, ...head], { format: 'vggnet' })),
      ofFeatures,
    ],
  ])('is fetched where %s', async (_, content, choose) => {
    await startHub({ 'model.safetensors': content })
    expect((await fetchTensors(uri, choose)).sha256).toBe(sha256(content))
  })

  test('is fetched where it is not safetensors', async () => {
    await startHub({ 'pytorch_model.bin': file })
    const remark = 'pytorch_model.bin was fetched as a whole: only safetensors files can be fetched in parts'
    expect(await fetchTensors(uri, ofFeatures)).toMatchObject({ sha256: sha256(file), remark })
  })
})

describe('a header', () => {
  const withLength = (length: bigint): Buffer => {
    const bytes = Buffer.from(file)
    bytes.writeBigUInt64LE(length)
    return bytes
  }
  test.each<[string, Buffer, RegExp]>([
    ['of 4 GB', withLength(2n ** 32n), /a header of 4294967296 bytes; at most 8388608 are allowed$/],
    ['longer than the file', withLength(8_000_000n), /a header of 8000000 bytes in a file of \d+ bytes/],
    ['of another length than it states', withLength(100n), /the header is not JSON/],
    [
      'that describes other bytes',
      file.subarray(0, file.length - 4),
      /its tensors take \d+ bytes, and \d+ follow the header/,
    ],
    ['that is a page', Buffer.from('<!DOCTYPE html><html><body>Log in</body></html>'), /at most 8388608 are allowed$/],
    ['that is missing', Buffer.from('abc'), /it has 3 bytes, and the shortest has 10$/],
  ])('%s is refused before tensors are fetched', async (_, content, message) => {
    const hub = await startHub({ 'model.safetensors': content })
    const refused = { code: 'FILE_FORMAT', message: expect.stringMatching(message) }
    await expect(fetchTensors(uri, ofFeatures)).rejects.toMatchObject(refused)
    expect(hub.sent).toBeLessThanOrEqual(4096)
  })
})

describe('a range', () => {
  test.each<[string, Answer]>([
    ['another range', { headers: { 'Content-Range': `bytes 0-${featureBytes - 1}/${file.length}` } }],
    ['another size of the file', { headers: { 'Content-Range': `bytes ${start}-${start + featureBytes - 1}/5` } }],
    ['no range', { headers: { 'Content-Range': '' } }],
    ['another number of bytes', { headers: { 'Content-Length': '10' } }],
  ])('with %s is refused', async (_, answer) => {
    const hub = await startHub({ 'model.safetensors': file })
    hub.contents.push({}, answer)
    await expect(fetchTensors(uri, ofFeatures)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' })
  })

  test('is cut: the download continues there', async () => {
    const hub = await startHub({ 'model.safetensors': file })
    hub.contents.push({}, { stallAfter: 1000 })
    const onProgress = ({ received }: { received: number }): void => {
      if (received === 1000) hub.cut()
    }
    expect((await read((await fetchTensors(uri, ofFeatures, { onProgress })).path)).values).toEqual(expected)
    expect(hub.sent).toBe(4096 + featureBytes)
  })

  test('of a file that has become another one: the header is fetched again', async () => {
    const hub = await startHub({ 'model.safetensors': file })
    hub.contents.push({}, { ignoresRange: true, headers: { ETag: '"other"' } })
    expect((await read((await fetchTensors(uri, ofFeatures)).path)).values).toEqual(expected)
    expect(contentRanges(hub).filter((range) => range === 'bytes=0-4095').length).toBe(2)
  })
})

test('what `choose` throws comes before a tensor is fetched, and unknown names are refused', async () => {
  const hub = await startHub({ 'model.safetensors': file })
  const refuse = (): never => {
    throw new Error('of another family')
  }
  await expect(fetchTensors(uri, refuse)).rejects.toThrow('of another family')
  await expect(fetchTensors(uri, () => ['conv1'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(hub.sent).toBe(4096)
})

test('a damaged entry of the cache is fetched again', async () => {
  const hub = await startHub({ 'model.safetensors': file })
  await fetchTensors(uri, ofFeatures)
  const kept = path.join(process.env.VGGNET_CACHE ?? '', 'hub/models--owner--vgg16.small/snapshots', hub.commit)
  writeFileSync(path.join(kept, 'model.safetensors.json'), '{"size"')
  expect((await read((await fetchTensors(uri, ofFeatures)).path)).values).toEqual(expected)
  expect(hub.sent).toBe(2 * 4096 + featureBytes)
})
