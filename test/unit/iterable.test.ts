import { describe, expect, test } from 'vitest'
import { imageBytes } from '../../lib/data/dataset.js'
import { datasetFrom, type Labelled } from '../../lib/data/sources/iterable.js'
import { flat, packed } from '../setup/photos.js'

const png = (value: number) =>
  packed(flat(20, 24, [value, 10, 200]))
    .png()
    .toBuffer()

async function* images(count: number, label: (n: number) => number | string): AsyncGenerator<Labelled> {
  for (let n = 0; n < count; n++) yield { image: await png(n), label: label(n), name: `n${n}` }
}

describe('datasetFrom', () => {
  test('image files of an async iterable are decoded when they are read', async () => {
    const data = await datasetFrom(
      images(5, (n) => (n < 2 ? 'late' : 'early')),
      { crop: 8 },
    )
    expect(data).toMatchObject({ count: 5, height: 8, width: 8, channels: 3, classNames: ['early', 'late'] })
    expect([...data.labels]).toEqual([1, 1, 0, 0, 0])
    expect(data.nameOf?.(3)).toBe('n3')
    const into = new Uint8Array(2 * imageBytes(data))
    await data.read(Int32Array.of(4, 1), into)
    expect([...into.subarray(0, 3), ...into.subarray(192, 195)]).toEqual([4, 10, 200, 1, 10, 200])
    expect(data.readAugmented).toBeTypeOf('function')
  })

  test('pixels of an iterable that reuses its memory are copied', async () => {
    const image = new Uint8Array(2 * 3)
    function* again(): Generator<Labelled> {
      for (let n = 1; n <= 3; n++) yield { image: image.fill(n), label: n - 1 }
    }
    const data = await datasetFrom(again(), { shape: [2, 3, 1] })
    expect(data).toMatchObject({ count: 3, height: 2, width: 3, channels: 1, classNames: ['0', '1', '2'] })
    const into = new Uint8Array(12)
    await data.read(Int32Array.of(2, 0), into)
    expect([...into]).toEqual([3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1])
    expect(data.nameOf?.(1)).toBe('1')
  })

  test('with given class names, labels are names or numbers', async () => {
    const options = { crop: 8, classNames: ['late', 'early'] }
    expect([
      ...(
        await datasetFrom(
          images(2, (n) => (n === 0 ? 'early' : 'late')),
          options,
        )
      ).labels,
    ]).toEqual([1, 0])
    expect([
      ...(
        await datasetFrom(
          images(2, (n) => n),
          options,
        )
      ).labels,
    ]).toEqual([0, 1])
    await expect(
      datasetFrom(
        images(2, () => 'never'),
        options,
      ),
    ).rejects.toThrow(/one of late, early for label of image 0/)
    await expect(
      datasetFrom(
        images(3, (n) => n),
        options,
      ),
    ).rejects.toThrow(/image 2/)
  })

  test('memoryLimit stops an endless iterable, and closes it', async () => {
    let closed = false
    async function* endless(): AsyncGenerator<Labelled> {
      try {
        for (;;) yield { image: new Uint8Array(1000), label: 0 }
      } finally {
        closed = true
      }
    }
    await expect(datasetFrom(endless(), { crop: 8, memoryLimit: 10_000 })).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(/10000 bytes .* but 11 have 11000/),
    })
    expect(closed).toBe(true)
  })

  test('errors of the iterable are passed on', async () => {
    async function* failing(): AsyncGenerator<Labelled> {
      yield { image: await png(1), label: 0 }
      throw new Error('connection lost')
    }
    await expect(datasetFrom(failing(), { crop: 8 })).rejects.toThrow('connection lost')
  })

  test('an image that cannot be decoded is an error when it is read', async () => {
    const data = await datasetFrom([{ image: Buffer.from('text'), label: 0, name: 'odd' }], { crop: 8 })
    await expect(data.read(Int32Array.of(0), new Uint8Array(192))).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: 'Expected an image for odd but it is text',
    })
  })

  const image = new Uint8Array(6)
  test.each<[string, unknown, object, RegExp | string]>([
    ['no iterable', 5, { crop: 8 }, /an iterable/],
    ['nothing', [], { crop: 8 }, /at least one image/],
    ['no image', [{ label: 0 }], { crop: 8 }, /image of image 0/],
    ['no object', ['a'], { crop: 8 }, /image 0/],
    ['no label', [{ image }], { crop: 8 }, /label of image 0/],
    ['half a label', [{ image, label: 0.5 }], { crop: 8 }, /label of image 0/],
    ['an empty label', [{ image, label: '' }], { crop: 8 }, /label of image 0/],
    [
      'names and numbers',
      [
        { image, label: 0 },
        { image, label: 'a' },
      ],
      { crop: 8 },
      /a number, as before, for label of image 1/,
    ],
    ['another size', [{ image, label: 0 }], { shape: [2, 2, 1] }, /4 bytes \(2x2x1\) for image 0 but received 6/],
    ['another rank', [{ image, label: 0 }], { shape: [2, 3] }, /shape/],
    ['options of files with pixels', [{ image, label: 0 }], { shape: [2, 3, 1], crop: 2 }, /crop/],
    ['no crop', [{ image, label: 0 }], {}, /crop/],
  ])('%s is refused', async (_name, source, options, message) => {
    await expect(datasetFrom(source as Labelled[], options as { crop: number })).rejects.toThrow(message)
  })

  test('options are checked before the iterable is read', async () => {
    let begun = false
    function* source(): Generator<Labelled> {
      begun = true
      yield { image, label: 0 }
    }
    await expect(datasetFrom(source(), { crop: 8, workers: 0 })).rejects.toThrow(/workers/)
    expect(begun).toBe(false)
  })
})
