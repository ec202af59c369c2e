import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fetchWhole } from '../../lib/weights/hub/hub.js'
import { repository, sha256, startHub } from '../setup/hub-server.js'

const weights = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const uri = `hf://${repository}`

describe('a whole file', () => {
  test('is fetched through the redirect into the hub cache, and not again', async () => {
    const hub = await startHub({ 'model.safetensors': weights, 'README.md': Buffer.from('# VGG') })
    const progress: number[] = []
    const first = await fetchWhole(uri, { onProgress: ({ received }) => void progress.push(received) })
    expect(readFileSync(first.path)).toEqual(weights)
    expect(first).toMatchObject({
      repository,
      file: 'model.safetensors',
      revision: hub.commit,
      sha256: sha256(weights),
    })
    expect(progress.at(-1)).toBe(weights.length)
    expect(hub.sent).toBe(weights.length)
    const second = await fetchWhole(uri)
    expect(second.path).toBe(first.path)
    expect(hub.sent).toBe(weights.length)
  })
})
