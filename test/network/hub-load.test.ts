import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test, vi } from 'vitest'
import { type LoadOptions, load, Tensor, type VGG } from '../../lib/index.js'
import { fetchWhole } from '../../lib/weights/hub/hub.js'
import { expectClose } from '../compare.js'
import { goldenImages, readGolden } from '../reference/golden.js'
import { repository, sha256, startHub } from '../setup/hub-server.js'

// weights of timm at small width, with what timm computed
const weights = readFileSync(fileURLToPath(new URL('../golden/foreign/timm-A.safetensors', import.meta.url)))
const golden = readGolden('foreign/timm-A-results')
const uri = `hf://${repository}`

async function loaded(options: LoadOptions, tap: string): Promise<VGG['origin']> {
  const net = await load(uri, options)
  try {
    const { shape, data } = goldenImages(golden.case)
    const computed = await net.features(Tensor.from(data, shape), [tap])
    const expected = golden.tensors.get(tap) as Float32Array
    expectClose(tap, await (computed[tap] as Tensor<'float32'>).data(), expected, { relative: 1e-4 })
    return net.origin
  } finally {
    net.dispose()
  }
}

test('load takes weights of the hub: the features alone, then the whole file, then offline', async () => {
  const hub = await startHub({ 'model.safetensors': weights, 'config.json': Buffer.from('{}') })
  const parts = await loaded({ head: 'none' }, 'pool5')
  const file = `${uri}@${hub.commit}/model.safetensors`
  // neighbours in the file, which has the head after them
  expect(parts).toMatchObject({ source: 'timm', file, ranges: expect.stringMatching(/^\d+-\d+$/) })
  expect(parts?.sha256).toBeUndefined()
  const [first = 0, last = 0] = (parts?.ranges ?? '').split('-').map(Number)
  expect(hub.sent).toBe(4096 + last - first + 1)
  expect(hub.sent).toBeLessThan(weights.length)

  hub.sent = 0
  expect(await loaded({}, 'fc8')).toMatchObject({ source: 'timm', file, sha256: sha256(weights) })
  expect(hub.sent).toBe(weights.length)

  vi.stubEnv('HF_HUB_OFFLINE', '1')
  const { length } = hub.requests
  await loaded({}, 'fc8')
  await loaded({ head: 'none' }, 'pool5')
  expect(hub.requests.length).toBe(length)
})

test('a cached file that is damaged is refused, with what to remove', async () => {
  await startHub({ 'model.safetensors': weights })
  const cached = realpathSync((await fetchWhole(uri)).path)
  const damaged = Buffer.from(weights)
  damaged.writeUInt8(damaged.readUInt8(weights.length - 1) ^ 1, weights.length - 1)
  writeFileSync(cached, damaged)
  const message = expect.stringMatching(new RegExp(`the cached file has ${sha256(damaged)}: remove ${cached}, and`))
  await expect(load(uri)).rejects.toMatchObject({ code: 'HASH_MISMATCH', message })
})
