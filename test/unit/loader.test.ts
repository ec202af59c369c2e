import { describe, expect, test } from 'vitest'
import { shiftImages } from '../../lib/data/batch.js'
import { paddedDataset, stratifiedSplit, subset } from '../../lib/data/derived.js'
import { batchesOf, Loader } from '../../lib/data/loader.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'

/** Images of 3x4; all pixels of image i have the value i + 1 and its label is i % classes. */
function numbered(count: number, classes = 5) {
  const images = new Uint8Array(count * 12).map((_, index) => 1 + Math.floor(index / 12))
  const labels = Array.from({ length: count }, (_, index) => index % classes)
  return arrayDataset({ images, shape: [count, 3, 4, 1], labels })
}

/** Indices of the images in the next `count` batches, from their pixels. */
async function take(loader: Loader, count: number): Promise<number[][]> {
  const taken: number[][] = []
  for (let index = 0; index < count; index++) {
    const { images, labels } = await loader.next()
    const pixels = await images.data()
    expect(images.shape).toEqual([labels.length, 3, 4, 1])
    taken.push(Array.from(labels, (_, position) => Math.max(...pixels.subarray(position * 12, position * 12 + 12)) - 1))
  }
  return taken
}

describe('Loader', () => {
  test('an epoch has every image once, the last batch has the remainder, and the next epoch has another order', async () => {
    const loader = new Loader(numbered(25), { batch: 8, seed: 1 })
    expect(loader.batchesPerEpoch).toBe(4)
    const first = await take(loader, 4)
    const second = await take(loader, 4)
    expect(first.map((batch) => batch.length)).toEqual([8, 8, 8, 1])
    const all = Array.from({ length: 25 }, (_, index) => index)
    expect(first.flat().sort((a, b) => a - b)).toEqual(all)
    expect(second.flat().sort((a, b) => a - b)).toEqual(all)
    expect(first.flat()).not.toEqual(all)
    expect(second).not.toEqual(first)
  })

  test('dropLast leaves out the batch that is not whole, of other images in each epoch; a state continues it', async () => {
    const loader = new Loader(numbered(25), { batch: 8, seed: 1, dropLast: true })
    expect([loader.batchesPerEpoch, loader.imagesPerEpoch]).toEqual([3, 24])
    const six = await take(loader, 6)
    expect(six.map((batch) => batch.length)).toEqual([8, 8, 8, 8, 8, 8])
    const [first, second] = [six.slice(0, 3).flat(), six.slice(3).flat()]
    expect([new Set(first).size, new Set(second).size]).toEqual([24, 24])
    expect(first.sort()).not.toEqual(second.sort())
    const whole = new Loader(numbered(25), { batch: 8, seed: 1 })
    expect(await take(whole, 3)).toEqual(six.slice(0, 3))
    const again = new Loader(numbered(25), { batch: 8, seed: 1, dropLast: true })
    await take(again, 3)
    const other = new Loader(numbered(25), { batch: 8, seed: 7, dropLast: true })
    other.restore(JSON.parse(JSON.stringify(again.state)))
    expect(await take(other, 3)).toEqual(six.slice(3))
    expect(() => new Loader(numbered(5), { batch: 8, dropLast: true })).toThrow(
      /at most 5, the number of images, with dropLast for batch but received 8/,
    )
  })

  test('flip draws a flip for each image and epoch, whatever the batches, and changes nothing else', async () => {
    const flipsOf = async (batch: number, options: object = { flip: true }) => {
      const loader = new Loader(numbered(64), { batch, seed: 2, shift: 1, ...options })
      const flips = new Map<string, number>()
      const pixels: number[] = []
      for (let read = 0; read < 128; read += batch) {
        const { indices, images, augment, after } = await loader.next()
        for (const [position, index] of indices.entries())
          flips.set(`${after.epoch} ${index}`, augment?.flip?.[position] ?? -1)
        pixels.push(...(await images.data()))
      }
      return { flips, pixels }
    }
    const { flips, pixels } = await flipsOf(8)
    expect(flips.size).toBe(128)
    const mirrored = [...flips.values()].filter((flip) => flip === 1).length
    expect(mirrored).toBeGreaterThan(40)
    expect(mirrored).toBeLessThan(88)
    expect([...flips.values()].filter((flip) => flip === 0)).toHaveLength(128 - mirrored)
    const differ = Array.from({ length: 64 }, (_, index) => flips.get(`0 ${index}`) !== flips.get(`1 ${index}`))
    expect(differ).toContain(true)
    expect((await flipsOf(32)).flips).toEqual(flips)
    const without = await flipsOf(8, {})
    expect(without.pixels).toEqual(pixels)
    expect(new Set(without.flips.values())).toEqual(new Set([-1]))
    const own = { ...numbered(5), readAugmented: async () => ({}) }
    expect(() => new Loader(own, { batch: 1, flip: true })).toThrow(/photoDataset does: use its option flip/)
  })

  test('labels belong to their images', async () => {
    const loader = new Loader(numbered(25), { batch: 7, seed: 3, shift: 1 })
    for (let index = 0; index < 8; index++) {
      const { images, labels } = await loader.next()
      const pixels = await images.data()
      labels.forEach((label, position) => {
        expect((Math.max(...pixels.subarray(position * 12, position * 12 + 12)) - 1) % 5).toBe(label)
      })
    }
  })

  test('equal seeds give equal batches, other seeds do not', async () => {
    const loader = (seed: number): Loader => new Loader(numbered(25), { batch: 8, seed, shift: 2 })
    const batches = await Promise.all([1, 1, 2].map(async (seed) => (await loader(seed).next()).images.data()))
    expect(batches[0]).toEqual(batches[1])
    expect(batches[0]).not.toEqual(batches[2])
  })

  test.each([0, 3, 4, 9])('continues from the state after %d batches, through JSON', async (done) => {
    const options = { batch: 8, seed: 5, shift: 1 }
    const one = new Loader(numbered(25), options)
    for (let index = 0; index < done; index++) await one.next()
    const state = JSON.parse(JSON.stringify(one.state))
    const other = new Loader(numbered(25), { ...options, seed: 77 })
    await other.next()
    other.restore(state)
    for (let index = 0; index < 9; index++) {
      const [a, b] = [await one.next(), await other.next()]
      expect(await b.images.data()).toEqual(await a.images.data())
      expect(b.labels).toEqual(a.labels)
    }
  })

  test('order and translations of a seed never change', async () => {
    const loader = new Loader(numbered(10), { batch: 4, seed: 1, shift: 1 })
    const seen: number[][] = []
    for (let index = 0; index < 6; index++) seen.push([...(await loader.next()).indices])
    expect(seen).toEqual([
      [2, 0, 9, 5],
      [6, 7, 1, 8],
      [3, 4],
      [2, 5, 8, 1],
      [7, 0, 9, 4],
      [3, 6],
    ])
    expect(loader.state.shifts).toEqual({ words: [715677821, 2678502685, 1848828341, 2161381200] })
  })

  test('invalid options and states are rejected by name', () => {
    const data = numbered(5)
    expect(() => new Loader(data, { batch: 1, ahead: -1 })).toThrow(/ahead/)
    expect(() => new Loader(data, { batch: 0 })).toThrow(/batch/)
    expect(() => new Loader(data, { batch: 1, background: 256 })).toThrow(/background/)
    expect(() => new Loader(data, JSON.parse('{"batch":1,"shfit":2}'))).toThrow(/did you mean 'shift'/)
    const loader = new Loader(data, { batch: 1 })
    expect(() => loader.restore({ ...loader.state, position: 6 })).toThrow(/position/)
    expect(() => loader.restore({ ...loader.state, seed: -1 })).toThrow(/seed/)
    expect(() => loader.restore(JSON.parse('{"epoch":0,"position":0,"seed":1}'))).toThrow(/state/)
  })
})

test('batchesOf reads every image once, in order', async () => {
  const seen: number[] = []
  const sizes: number[] = []
  for await (const { images, labels } of batchesOf(numbered(10), 4)) {
    const pixels = await images.data()
    sizes.push(labels.length)
    labels.forEach((_, position) => {
      seen.push((pixels[position * 12] ?? 0) - 1)
    })
  }
  expect(sizes).toEqual([4, 4, 2])
  expect(seen).toEqual(Array.from({ length: 10 }, (_, index) => index))
})

describe('shiftImages', () => {
  const image = Uint8Array.of(1, 2, 3, 4, 5, 6)
  test.each([
    [
      [0, 0],
      [1, 2, 3, 4, 5, 6],
    ],
    [
      [1, 0],
      [9, 9, 9, 1, 2, 3],
    ],
    [
      [-1, 0],
      [4, 5, 6, 9, 9, 9],
    ],
    [
      [0, 1],
      [9, 1, 2, 9, 4, 5],
    ],
    [
      [0, -2],
      [3, 9, 9, 6, 9, 9],
    ],
    [
      [1, -1],
      [9, 9, 9, 2, 3, 9],
    ],
    [
      [5, 0],
      [9, 9, 9, 9, 9, 9],
    ],
    [
      [0, -7],
      [9, 9, 9, 9, 9, 9],
    ],
  ])('by %j', (move, expected) => {
    expect([...shiftImages(image, [1, 2, 3, 1], Int32Array.from(move), 9)]).toEqual(expected)
  })

  test('each image has its own offset, and channels stay together', () => {
    const two = Uint8Array.from({ length: 12 }, (_, index) => index)
    const moved = shiftImages(two, [2, 1, 2, 3], Int32Array.of(0, 1, 0, -1), 0)
    expect([...moved]).toEqual([0, 0, 0, 0, 1, 2, 9, 10, 11, 0, 0, 0])
  })
})

describe('derived datasets', () => {
  test('padding centres the image and keeps every pixel', async () => {
    const data = arrayDataset({ images: Uint8Array.of(1, 2, 3, 4), shape: [1, 2, 2, 1], labels: [0] })
    const padded = paddedDataset(data, { height: 5, width: 4 }, 7)
    const into = new Uint8Array(20)
    await padded.read(Int32Array.of(0), into)
    expect([...into]).toEqual([7, 7, 7, 7, 7, 1, 2, 7, 7, 3, 4, 7, 7, 7, 7, 7, 7, 7, 7, 7])
    expect(() => paddedDataset(data, { height: 1, width: 4 })).toThrow(/at most 1x4/)
    expect(paddedDataset(data, { height: 2, width: 2 })).toBe(data)
  })

  test('a stratified split keeps the shares of classes, has no image twice, and depends only on the seed', async () => {
    const data = numbered(100, 4)
    const { training, validation } = stratifiedSplit(data, 22, 1)
    expect([training.count, validation.count]).toEqual([78, 22])
    const perClass = [0, 1, 2, 3].map((name) => validation.labels.filter((label) => label === name).length)
    expect(Math.max(...perClass) - Math.min(...perClass)).toBeLessThanOrEqual(1)
    const pixels = async (part: typeof training): Promise<number[]> => {
      const into = new Uint8Array(part.count * 12)
      await part.read(
        Int32Array.from({ length: part.count }, (_, index) => index),
        into,
      )
      return Array.from({ length: part.count }, (_, index) => into[index * 12] ?? 0)
    }
    const both = [...(await pixels(training)), ...(await pixels(validation))]
    expect(new Set(both).size).toBe(100)
    expect(await pixels(stratifiedSplit(data, 22, 1).validation)).toEqual(await pixels(validation))
    expect(await pixels(stratifiedSplit(data, 22, 2).validation)).not.toEqual(await pixels(validation))
  })

  test('a subset keeps order and labels', async () => {
    const part = subset(numbered(10), Int32Array.of(7, 2))
    const into = new Uint8Array(24)
    await part.read(Int32Array.of(1, 0), into)
    expect([into[0], into[12], ...part.labels]).toEqual([3, 8, 2, 2])
    expect(() => subset(numbered(3), Int32Array.of(3))).toThrow(/0 to 2/)
  })

  test('arrays of the wrong length or shape are rejected', () => {
    const images = new Uint8Array(12)
    expect(() => arrayDataset({ images, shape: [1, 3, 4, 2], labels: [0] })).toThrow(/1 or 3/)
    expect(() => arrayDataset({ images, shape: [1, 3, 5, 1], labels: [0] })).toThrow(/15 bytes/)
    expect(() => arrayDataset({ images, shape: [1, 3, 4, 1], labels: [] })).toThrow(/1 labels/)
    expect(() => arrayDataset({ images, shape: [1, 3, 4, 1], labels: [-1] })).toThrow(/labels\[0\]/)
    expect(() => arrayDataset({ images, shape: [1, 3, 4, 1], labels: [0.5] })).toThrow(/labels\[0\]/)
  })
})
