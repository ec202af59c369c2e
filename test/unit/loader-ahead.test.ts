import { describe, expect, test } from 'vitest'
import type { Augmented, Dataset } from '../../lib/data/dataset.js'
import { batchesOf, Loader, type LoaderOptions } from '../../lib/data/loader.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { Random } from '../../lib/random.js'

/** Images of 3x4; all pixels of image i have the value i + 1 and its label is i % classes. */
function numbered(count: number) {
  const images = new Uint8Array(count * 12).map((_, index) => 1 + Math.floor(index / 12))
  const labels = Array.from({ length: count }, (_, index) => index % 5)
  return arrayDataset({ images, shape: [count, 3, 4, 1], labels })
}

/** A dataset whose reads end on request, and in which some images are damaged. */
class Slow {
  readonly data: Dataset
  /** Indices of each read, in the order begun. */
  readonly begun: number[][] = []
  underWay = 0
  mostUnderWay = 0
  #waiting: (() => void)[] = []
  held = false

  constructor(count: number, damaged: readonly number[] = [], failing: readonly number[] = []) {
    const inner = numbered(count)
    this.data = {
      ...inner,
      read: (indices, into) => this.#read(indices, into, inner, damaged, failing),
      readAugmented: async (indices, randoms, into): Promise<Augmented> => {
        const unreadable = await this.#read(indices, into, inner, damaged, failing)
        const flip = Uint8Array.from(randoms, (random) => random.integer(2))
        const shift = Float32Array.from(randoms, (random) => random.normal())
        return { flip, shift, unreadable }
      },
    }
  }

  release(): void {
    for (const go of this.#waiting.splice(0)) go()
  }

  async #read(
    indices: Int32Array,
    into: Uint8Array,
    inner: Dataset,
    damaged: readonly number[],
    failing: readonly number[],
  ) {
    this.begun.push([...indices])
    this.underWay += 1
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay)
    if (this.held) await new Promise<void>((go) => this.#waiting.push(go))
    else await new Promise((go) => setTimeout(go, indices[0] % 3))
    this.underWay -= 1
    const bad = indices.find((index) => failing.includes(index))
    if (bad !== undefined) throw new Error(`image ${bad} is torn`)
    await inner.read(indices, into)
    return [...indices].flatMap((index, position) => {
      if (!damaged.includes(index)) return []
      into.fill(0, position * 12, position * 12 + 12)
      return [{ position, name: `image ${index}`, reason: 'cut short' }]
    })
  }
}

/** A batch as plain data. */
async function plain(loader: Loader) {
  const { images, labels, indices, augment, unreadable, after } = await loader.next()
  const pixels = [...(await images.data())]
  const changes = augment && { flip: [...(augment.flip ?? [])], shift: [...(augment.shift ?? [])] }
  return { pixels, labels: [...labels], indices: [...indices], changes, unreadable, after }
}

async function plainBatches(loader: Loader, count: number) {
  const batches: Awaited<ReturnType<typeof plain>>[] = []
  for (let index = 0; index < count; index++) batches.push(await plain(loader))
  return batches
}

const settled = () => new Promise((go) => setTimeout(go, 20))

describe('reading ahead', () => {
  const options: LoaderOptions = { batch: 4, seed: 3, shift: 1 }

  test('gives the same batches for any number read ahead, including unreadable images', async () => {
    const all = await Promise.all(
      [0, 1, 2, 7].map((ahead) => plainBatches(new Loader(new Slow(11, [2, 5]).data, { ...options, ahead }), 9)),
    )
    expect(all[0]?.some(({ unreadable }) => unreadable.length > 0)).toBe(true)
    for (const batches of all) expect(batches).toEqual(all[0])
  })

  test.each([0, 2])('the state after any batch continues with the next one, %d read ahead', async (ahead) => {
    const make = (seed: number) => new Loader(new Slow(11, [2]).data, { ...options, seed, ahead })
    const loader = make(3)
    const batches = await plainBatches(loader, 10)
    for (const [index, { after }] of batches.slice(0, 7).entries()) {
      const other = make(99)
      await other.next()
      other.restore(JSON.parse(JSON.stringify(after)))
      expect(other.state).toEqual(after)
      expect(await plainBatches(other, 3)).toEqual(batches.slice(index + 1, index + 4))
    }
    expect(loader.state).toEqual(batches.at(-1)?.after)
  })

  test('the augmentation of an image depends only on the seed, the epoch and its index', async () => {
    const changes = async (batch: number, seed: number) => {
      const loader = new Loader(new Slow(12).data, { batch, seed })
      const found = new Map<string, number>()
      for (let epoch = 0; epoch < 2; epoch++) {
        for (let step = 0; step < 12 / batch; step++) {
          const { indices, augment } = await loader.next()
          for (const [position, index] of indices.entries())
            found.set(`${epoch} ${index}`, augment?.shift?.[position] ?? 0)
        }
      }
      return Object.fromEntries([...found].sort())
    }
    const found = await changes(4, 3)
    expect(await changes(3, 3)).toEqual(found)
    expect(await changes(4, 4)).not.toEqual(found)
    expect(new Set(Object.values(found)).size).toBe(24)
    const random = Random.at(3, 1, 5)
    random.integer(2)
    expect(found['1 5']).toBe(Math.fround(random.normal()))
  })

  test('never holds more batches than `ahead`, and continues only when one is taken', async () => {
    const slow = new Slow(40)
    slow.held = true
    const loader = new Loader(slow.data, { batch: 4, ahead: 2 })
    await settled()
    expect(slow.begun).toHaveLength(0)
    const first = loader.next()
    await settled()
    expect(slow.underWay).toBe(3)
    slow.release()
    await first
    await settled()
    expect(slow.begun).toHaveLength(3)
    await loader.next()
    slow.release()
    await loader.next()
    slow.held = false
    slow.release()
    await settled()
    expect(slow.begun).toHaveLength(5)
    expect(slow.mostUnderWay).toBe(3)
  })

  test('reads nothing ahead after the last epoch, but returns further batches on request', async () => {
    const slow = new Slow(10)
    const loader = new Loader(slow.data, { batch: 4, seed: 3, epochs: 2 })
    const batches = await plainBatches(loader, 6)
    await settled()
    expect(slow.begun).toHaveLength(6)
    batches.push(...(await plainBatches(loader, 2)))
    expect(slow.begun).toHaveLength(8)
    expect(batches).toEqual(await plainBatches(new Loader(new Slow(10).data, { batch: 4, seed: 3 }), 8))
  })

  test('with none ahead, reads do not overlap', async () => {
    const slow = new Slow(20)
    await plainBatches(new Loader(slow.data, { batch: 4, ahead: 0 }), 7)
    expect(slow.begun).toHaveLength(7)
    expect(slow.mostUnderWay).toBe(1)
  })

  test('overlapping calls get the batches in order', async () => {
    const one = new Loader(new Slow(11).data, options)
    const other = new Loader(new Slow(11).data, options)
    const together = await Promise.all([plain(one), plain(one), plain(one), plain(one), plain(one)])
    expect(together).toEqual(await plainBatches(other, 5))
  })

  test('an error is thrown at its own batch, and the next call returns the batch after it', async () => {
    const order = await plainBatches(new Loader(new Slow(12).data, options), 6)
    const broken = order[2]?.indices[1] ?? -1
    const loader = new Loader(new Slow(12, [], [broken]).data, { ...options, ahead: 3 })
    expect(await plainBatches(loader, 2)).toEqual(order.slice(0, 2))
    await settled()
    await expect(loader.next()).rejects.toThrow(`image ${broken} is torn`)
    expect(await plain(loader)).toEqual(order[3])
    const again = new Loader(new Slow(12).data, { ...options, seed: 50 })
    again.restore(order[2]?.after as never)
    expect(await plain(again)).toEqual(order[3])
  })

  test('errors of an abandoned or restored loader are ignored', async () => {
    const lost: unknown[] = []
    const note = (reason: unknown) => lost.push(reason)
    process.on('unhandledRejection', note)
    try {
      const all = Array.from({ length: 12 }, (_, index) => index)
      const order = await plainBatches(new Loader(new Slow(12).data, options), 1)
      const later = all.filter((index) => !order[0]?.indices.includes(index))
      const loader = new Loader(new Slow(12, [], later).data, { ...options, ahead: 2 })
      await loader.next()
      loader.restore(new Loader(new Slow(12).data, options).state)
      expect(await plain(loader)).toEqual(order[0])
      await settled()
      expect(lost).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})

describe('unreadable images', () => {
  test('are removed with their labels and augmentation, and reported', async () => {
    const whole = await plainBatches(new Loader(new Slow(10).data, { batch: 5, seed: 2 }), 2)
    const found = await plainBatches(new Loader(new Slow(10, [1, 4, 8]).data, { batch: 5, seed: 2 }), 2)
    expect(found.flatMap(({ unreadable }) => unreadable.map(({ index }) => index)).sort()).toEqual([1, 4, 8])
    for (const [step, { indices, labels, pixels, changes, unreadable }] of found.entries()) {
      const all = whole[step]
      for (const { position, index, name, reason } of unreadable) {
        expect([all?.indices[position], name, reason]).toEqual([index, `image ${index}`, 'cut short'])
      }
      const kept = (all?.indices ?? []).flatMap((index, position) => ([1, 4, 8].includes(index) ? [] : [position]))
      expect(indices).toEqual(kept.map((position) => all?.indices[position]))
      expect(labels).toEqual(indices.map((index) => index % 5))
      expect(changes?.flip).toEqual(kept.map((position) => all?.changes?.flip[position]))
      expect(changes?.shift).toEqual(kept.map((position) => all?.changes?.shift[position]))
      expect(pixels).toEqual(indices.flatMap((index) => new Array(12).fill(index + 1)))
    }
  })

  test('may be all of a batch, which is then empty', async () => {
    const loader = new Loader(new Slow(6, [0, 1, 2, 3, 4, 5]).data, { batch: 4, seed: 1 })
    const { images, labels, indices, unreadable } = await loader.next()
    expect([images.shape, labels.length, indices.length]).toEqual([[0, 3, 4, 1], 0, 0])
    expect(unreadable).toHaveLength(4)
  })

  test('are absent from batchesOf, which reads exactly one batch ahead', async () => {
    const slow = new Slow(11, [0, 5])
    const seen: number[] = []
    const missing: number[] = []
    let given = 0
    for await (const { indices, images, unreadable, augment } of batchesOf(slow.data, 4)) {
      given += 1
      expect(slow.begun.length).toBeLessThanOrEqual(given + 1)
      expect(augment).toBeUndefined()
      const pixels = await images.data()
      for (const [position, index] of indices.entries()) expect(pixels[position * 12]).toBe(index + 1)
      seen.push(...indices)
      missing.push(...unreadable.map(({ index }) => index))
    }
    expect(seen).toEqual([1, 2, 3, 4, 6, 7, 8, 9, 10])
    expect(missing).toEqual([0, 5])
    expect(slow.mostUnderWay).toBe(1)
  })

  test('batchesOf leaves no read under way if the caller stops early', async () => {
    const slow = new Slow(20, [], [6])
    for await (const { indices } of batchesOf(slow.data, 4)) {
      expect(indices[0]).toBe(0)
      break
    }
    expect(slow.underWay).toBe(0)
    expect(slow.begun).toHaveLength(2)
  })
})
