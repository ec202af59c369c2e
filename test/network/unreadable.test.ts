import { describe, expect, test } from 'vitest'
import type { Dataset } from '../../lib/data/dataset.js'
import { subset } from '../../lib/data/derived.js'
import { evaluate } from '../../lib/evaluate/evaluate.js'
import { smallNet, stripes } from '../setup/stripes.js'

/** The same images, of which some cannot be read. */
function damaged(data: Dataset, bad: ReadonlySet<number>): Dataset {
  return {
    ...data,
    async read(indices, into) {
      await data.read(indices, into)
      return [...indices].flatMap((index, position) => {
        if (!bad.has(index)) return []
        into.fill(0, position * 1024, (position + 1) * 1024)
        return [{ position, name: `image ${index}`, reason: 'cut short' }]
      })
    },
  }
}

describe('evaluate', () => {
  test('scores the readable images, and names the others; a batch of none is skipped', async () => {
    using net = await smallNet()
    const data = stripes(30, 4)
    // all of the batch from 8 to 15, and one of the last
    const bad = new Set([8, 9, 10, 11, 12, 13, 14, 15, 29])
    const { unreadable, ...metrics } = await evaluate(net, damaged(data, bad), { batch: 8 })
    expect(unreadable.map(({ index }) => index)).toEqual([...bad])
    expect(unreadable.at(-1)).toEqual({ index: 29, position: 5, name: 'image 29', reason: 'cut short' })
    const good = Int32Array.from({ length: 30 }, (_, index) => index).filter((index) => !bad.has(index))
    const { unreadable: none, ...expected } = await evaluate(net, subset(data, good), { batch: 8 })
    expect(none).toEqual([])
    expect(metrics.count).toBe(21)
    expect(Math.abs(metrics.loss - expected.loss)).toBeLessThan(1e-6)
    expect({ ...metrics, loss: 0 }).toEqual({ ...expected, loss: 0 })
  })

  test('the error of a prefetched read ends it after the pending calls', async () => {
    using net = await smallNet()
    const data = stripes(30, 4)
    const read: Dataset['read'] = async (indices, into) => {
      if (indices[0] === 16) throw new Error('the disk is gone')
      return data.read(indices, into)
    }
    await expect(evaluate(net, { ...data, read }, { batch: 8 })).rejects.toThrow('the disk is gone')
    expect((await evaluate(net, data)).count).toBe(30)
  })
})
