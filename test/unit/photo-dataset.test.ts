import { beforeAll, describe, expect, test } from 'vitest'
import { imageBytes } from '../../lib/data/dataset.js'
import { drawColourShift } from '../../lib/data/images/colour.js'
import { centreCropBox, drawCropBox } from '../../lib/data/images/crop.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { type PhotoList, selectPhotos, splitPhotos } from '../../lib/data/sources/photo-list.js'
import type { PhotoOptions } from '../../lib/data/sources/photo-options.js'
import type { Random } from '../../lib/random.js'
import { all, colour, flat, gradient, listOf, packed, randomsOf } from '../setup/photos.js'

/** One image of 60x80, packed: every pixel encodes its position. */
let map: Buffer

beforeAll(async () => {
  map = await packed(gradient(60, 80)).png().toBuffer()
})

/** Upper left pixel of image `position`: on an unscaled map its red is the row, its green the column. */
const corner = (into: Uint8Array, position: number, bytes: number) => [
  ...into.subarray(position * bytes, position * bytes + 2),
]

describe('read', () => {
  test('rescales to S and takes the exact centre crop', async () => {
    const data = photoDataset(listOf([map]), { crop: [20, 30], smallestSide: 60 })
    expect(data).toMatchObject({ count: 1, height: 20, width: 30, channels: 3, classNames: ['a', 'b'] })
    const into = new Uint8Array(imageBytes(data))
    expect(await data.read(Int32Array.of(0), into)).toEqual([])
    const expected = Uint8Array.from({ length: into.length }, (_, index) => {
      const pixel = Math.floor(index / 3)
      return [20 + Math.floor(pixel / 30), 25 + (pixel % 30), 40][index % 3] ?? 0
    })
    expect(into).toEqual(expected)
  })

  test('with a range of S the middle of it, as in centreCropBox; the default S is 256/224 of the crop', async () => {
    const range = photoDataset(listOf([map]), { crop: 40, smallestSide: [40, 80] })
    const fixed = photoDataset(listOf([map]), { crop: 40, smallestSide: 60 })
    const byDefault = photoDataset(listOf([map]), { crop: 224 })
    const explicit = photoDataset(listOf([map]), { crop: 224, smallestSide: 256 })
    for (const [one, other] of [
      [range, fixed],
      [byDefault, explicit],
    ] as const) {
      const [a, b] = [new Uint8Array(imageBytes(one)), new Uint8Array(imageBytes(other))]
      await one.read(Int32Array.of(0), a)
      await other.read(Int32Array.of(0), b)
      expect(a.some((value) => value > 0)).toBe(true)
      expect(a).toEqual(b)
    }
    expect(centreCropBox({ height: 60, width: 80 }, { crop: [40, 40], smallestSide: [40, 80] }).smallestSide).toBe(60)
  })

  test('each image goes to its position for any order and number of workers, and each source is read once', async () => {
    const images = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6].map((n) =>
        packed(flat(20, 20, [n, n, n]))
          .png()
          .toBuffer(),
      ),
    )
    let reads = 0
    let running = 0
    let most = 0
    const sources = images.map((bytes, index) => async () => {
      reads += 1
      running += 1
      most = Math.max(most, running)
      // the first are the slowest
      await new Promise((resolve) => setTimeout(resolve, 10 - index))
      running -= 1
      return bytes
    })
    const indices = Int32Array.of(6, 0, 3, 3, 1, 5, 2, 4)
    for (const workers of [1, 3, 16]) {
      reads = most = 0
      const data = photoDataset(listOf(sources), { crop: 8, workers })
      const into = new Uint8Array(8 * imageBytes(data))
      await data.read(indices, into)
      expect([...indices].map((_, position) => into[position * imageBytes(data) + 100])).toEqual([...indices])
      expect(reads).toBe(8)
      // as many files are read as images are decoded
      expect(most).toBeLessThanOrEqual(2 * workers)
      expect(most).toBeGreaterThan(workers === 1 ? 0 : 1)
    }
  })

  test('reads that overlap share the workers', async () => {
    let running = 0
    let most = 0
    const source = async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 2))
      running -= 1
      return map
    }
    const data = photoDataset(listOf(Array.from({ length: 6 }, () => source)), { crop: 8, workers: 2 })
    const reads = [0, 1, 2].map(() => data.read(all(6), new Uint8Array(6 * imageBytes(data))))
    expect(await Promise.all(reads)).toEqual([[], [], []])
    // two files are read while two images are decoded
    expect(most).toBe(4)
  })
})

describe('readAugmented', () => {
  test('S, crop, flip and colour shift are drawn from the image’s own generator, in this order', async () => {
    const options: PhotoOptions = { crop: [20, 30], smallestSide: 60, colour }
    const data = photoDataset(listOf(Array.from({ length: 20 }, () => map)), options)
    const into = new Uint8Array(20 * imageBytes(data))
    const augmented = await data.readAugmented?.(all(20), randomsOf(20), into)
    for (const [position, random] of randomsOf(20).entries()) {
      const box = drawCropBox(random, { height: 60, width: 80 }, { crop: [20, 30], smallestSide: 60, randomCrop: true })
      expect(corner(into, position, imageBytes(data))).toEqual([box.top, box.left])
      expect(augmented?.flip?.[position]).toBe(random.next() >= 2 ** 31 ? 1 : 0)
      const shift = augmented?.shift?.subarray(3 * position, 3 * position + 3)
      expect(shift).toEqual(Float32Array.from(drawColourShift(random, colour)))
    }
    expect(new Set(augmented?.flip)).toEqual(new Set([0, 1]))
    expect(augmented?.unreadable).toEqual([])
  })

  test('depends only on the generators, not on workers, batch or order', async () => {
    const read = async (workers: number, order: Int32Array) => {
      const data = photoDataset(listOf(Array.from({ length: 9 }, () => map)), {
        crop: 20,
        smallestSide: [30, 60],
        colour,
        workers,
      })
      const bytes = imageBytes(data)
      const into = new Uint8Array(9 * bytes)
      const randoms = randomsOf(9)
      const augmented = await data.readAugmented?.(
        order,
        [...order].map((index) => randoms[index] as Random),
        into,
      )
      return [...order.keys()]
        .sort((a, b) => (order[a] ?? 0) - (order[b] ?? 0))
        .map((position) => ({
          pixels: Buffer.from(into.subarray(position * bytes, (position + 1) * bytes)).toString('hex'),
          flip: augmented?.flip?.[position],
          shift: [...(augmented?.shift?.subarray(3 * position, 3 * position + 3) ?? [])],
        }))
    }
    const one = await read(1, all(9))
    expect(new Set(one.map(({ pixels }) => pixels)).size).toBeGreaterThan(5)
    expect(await read(4, Int32Array.of(8, 2, 0, 1, 7, 5, 6, 4, 3))).toEqual(one)
  })

  test('each kind of augmentation can be switched off without changing the others', async () => {
    const read = async (options: Partial<PhotoOptions>) => {
      const data = photoDataset(listOf([map, map, map]), { crop: 20, smallestSide: 60, colour, ...options })
      const into = new Uint8Array(3 * imageBytes(data))
      return { into, ...(await data.readAugmented?.(all(3), randomsOf(3, 7), into)) }
    }
    const full = await read({})
    const unflipped = await read({ flip: false })
    expect(unflipped.flip).toBeUndefined()
    expect(unflipped).toMatchObject({ into: full.into, shift: full.shift })
    const uncoloured = await read({ colour: undefined })
    expect(uncoloured.shift).toBeUndefined()
    expect(uncoloured).toMatchObject({ into: full.into, flip: full.flip })
    const centred = await read({ randomCrop: false })
    expect(centred).toMatchObject({ flip: full.flip, shift: full.shift })
    expect([0, 1, 2].map((position) => corner(centred.into, position, 1200))).toEqual([
      [20, 30],
      [20, 30],
      [20, 30],
    ])
  })

  test('crop, S, channels and colours are those of a network, and each can be changed', async () => {
    const net = { imageSize: [20, 30], channels: 3, preprocessing: { smallestSide: [40, 60], colour } } as const
    const read = async (options: PhotoOptions | typeof net) => {
      const data = photoDataset(listOf([map, map, map]), options)
      const [into, centre] = [new Uint8Array(3 * imageBytes(data)), new Uint8Array(3 * imageBytes(data))]
      await data.read(all(3), centre)
      return { into, centre, ...(await data.readAugmented?.(all(3), randomsOf(3, 7), into)) }
    }
    const full = await read({ crop: [20, 30], smallestSide: [40, 60], channels: 3, colour })
    expect(full.shift).toBeDefined()
    expect(await read(net)).toEqual(full)
    const { shift: _, ...uncoloured } = full
    expect(await read({ net, colour: false })).toEqual(uncoloured)
    expect(await read({ net, smallestSide: 50 })).toEqual(
      await read({ crop: [20, 30], smallestSide: 50, channels: 3, colour }),
    )
    const grey = await read({ net, channels: 1 })
    expect(grey).toMatchObject({ into: { length: 1800 }, flip: full.flip })
    expect(grey.shift).toBeUndefined()
    const unknown = await read({ net: { imageSize: [20, 20], channels: 1 } })
    expect(unknown).toEqual(await read({ crop: 20, channels: 1 }))
  })

  test('grey images have one channel and no colour shift', async () => {
    const data = photoDataset(listOf([map]), { crop: 16, channels: 1 })
    const into = new Uint8Array(256)
    expect(await data.readAugmented?.(all(1), randomsOf(1), into)).toMatchObject({ flip: expect.any(Uint8Array) })
    expect(into.some((value) => value > 0)).toBe(true)
    expect(() => photoDataset(listOf([map]), { crop: 16, channels: 1, colour })).toThrow(/colour/)
  })
})

describe('options and lists', () => {
  test.each([
    [{}, /Expected a side, \[height, width\], or the option net, for crop/],
    [{ net: 3 }, /a VGG for net/],
    [{ net: { imageSize: [16, 16], channels: 2 } }, /1 or 3 channels/],
    [{ crop: 0 }, /crop/],
    [{ crop: 16, smallestSide: 15 }, /smallestSide/],
    [{ crop: 16, chanels: 3 }, /did you mean 'channels'/],
    [{ crop: 16, channels: 2 }, /1 or 3 for channels/],
    [{ crop: 16, onUnreadable: 'skipp' }, /did you mean 'skip'/],
    [{ crop: 16, pixelLimit: 0 }, /pixelLimit/],
    [{ crop: 16, workers: 0 }, /workers/],
    [{ crop: 16, flip: 1 }, /flip/],
    [{ crop: 16, colour: { values: [1] } }, /colour/],
  ])('%j is rejected', (options, message) => {
    expect(() => photoDataset(listOf([map]), options as unknown as PhotoOptions)).toThrow(message)
  })

  test('inconsistent lists are rejected', () => {
    const list = listOf([map, map])
    expect(() => photoDataset({ ...list, names: ['one'] }, { crop: 16 })).toThrow(/2 images but received 1 names/)
    expect(() => photoDataset({ ...list, labels: Int32Array.of(0, 2) }, { crop: 16 })).toThrow(/labels\[1\]/)
    expect(() => photoDataset(listOf([]), { crop: 16 })).toThrow(/at least one image/)
    expect(() => photoDataset({ ...list, sources: [map, 3 as unknown as string] }, { crop: 16 })).toThrow(
      /sources\[1\]/,
    )
  })

  test('nameOf returns the name of the list', () => {
    expect(photoDataset(listOf(['x/1.jpg', map]), { crop: 16 }).nameOf?.(0)).toBe('x/1.jpg')
  })

  test('a split keeps the share of every class, the order, and each image in exactly one part', () => {
    const labels = Int32Array.from({ length: 100 }, (_, index) => (index < 80 ? 0 : 1))
    const names = Array.from(labels, (_, index) => `${index}.jpg`)
    const list: PhotoList = { sources: names, names, labels, classNames: ['many', 'few'] }
    const { training, validation } = splitPhotos(list, 0.25, 3)
    expect([...(validation?.labels ?? [])].filter((label) => label === 1)).toHaveLength(5)
    expect(validation?.names).toHaveLength(25)
    const numbers = (part?: PhotoList) => (part?.names ?? []).map((name) => Number.parseInt(name, 10))
    for (const part of [training, validation]) expect(numbers(part)).toEqual(numbers(part).toSorted((a, b) => a - b))
    expect(new Set([...numbers(training), ...numbers(validation)]).size).toBe(100)
    expect(splitPhotos(list, 0.25, 3)).toEqual({ training, validation })
    expect(splitPhotos(list, 0.25, 4).validation).not.toEqual(validation)
    expect(splitPhotos(list, 0, 3)).toEqual({ training: list })
    expect(splitPhotos(list, 0.001, 3).validation?.names).toHaveLength(1)
    expect(selectPhotos(list, Int32Array.of(90, 2))).toMatchObject({
      names: ['90.jpg', '2.jpg'],
      classNames: ['many', 'few'],
    })
    expect([...selectPhotos(list, Int32Array.of(90, 2)).labels]).toEqual([1, 0])
    expect(() => selectPhotos(list, Int32Array.of(100))).toThrow(/indices/)
  })
})
