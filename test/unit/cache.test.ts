import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type CacheOptions, cachedDataset } from '../../lib/data/cache/cache.js'
import { colourShiftOf } from '../../lib/data/images/colour.js'
import { Loader } from '../../lib/data/loader.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { apart, augmentedOf, cachedPhotos, files, readOf, shardsIn, withoutCache } from '../setup/cached-photos.js'

describe('cachedDataset', () => {
  const colour = colourShiftOf([
    [900, 300, 100],
    [300, 800, 200],
    [100, 200, 700],
  ])
  const ways: [string, Partial<CacheOptions>][] = [
    ['as in the paper', {}],
    ['with colours', { colour }],
    ['grey', { channels: 1 }],
    ['S = crop', { smallestSide: 32 }],
    ['enlarged', { smallestSide: 150 }],
    ['not square', { crop: [32, 24] }],
    ['without random augmentation', { flip: false, randomCrop: false }],
  ]
  test.each(ways)('gives the bytes of photoDataset for a fixed S: %s', async (_, options) => {
    const one = cachedPhotos(21, options)
    const cached = cachedDataset(one.list, one.options)
    const direct = photoDataset(one.list, withoutCache(one.options))
    for (let time = 0; time < 2; time++) expect(await readOf(cached)).toEqual(await readOf(direct))
    for (const epoch of [0, 1, 2]) {
      expect(await augmentedOf(cached, epoch)).toEqual(await augmentedOf(direct, epoch))
    }
    const { count, height, width, channels, labels, classNames } = direct
    expect(cached).toMatchObject({ count, height, width, channels, labels, classNames })
    expect(cached.nameOf?.(3)).toBe(one.list.names[3])
  })

  test('images whose files have changed since are read from the cache', async () => {
    const one = cachedPhotos(10, { crop: 16, smallestSide: 20 })
    const before = await readOf(cachedDataset(one.list, one.options))
    const cached = cachedDataset(one.list, one.options)
    expect(await cached.prepare()).toEqual({ images: 10, missing: 0 })
    for (const source of one.list.sources) writeFileSync(source as string, 'gone')
    expect(await readOf(cached)).toEqual(before)
  })

  test('with a range of S: the same boxes, flips and colours, and pixels close to those of the files', async () => {
    const one = cachedPhotos(21, { smallestSide: [40, 64], colour })
    const cached = cachedDataset(one.list, one.options)
    const direct = photoDataset(one.list, withoutCache(one.options))
    const [ours, theirs] = [await augmentedOf(cached), await augmentedOf(direct)]
    expect({ ...ours, pixels: '' }).toEqual({ ...theirs, pixels: '' })
    // a box off by one pixel would differ by several grey levels, another image by fifty
    expect(await apart(cached, direct)).toBeLessThan(1.5)
    const other = photoDataset(one.list, { ...withoutCache(one.options), smallestSide: [41, 65] })
    expect(await apart(other, direct)).toBeGreaterThan(1.5)
  })

  test('several shards, read through a loader', async () => {
    const one = cachedPhotos(300)
    const cached = cachedDataset(one.list, one.options)
    const done: number[][] = []
    expect(await cached.prepare({ onProgress: (...step) => done.push(step) })).toEqual({ images: 257, missing: 43 })
    expect(done).toHaveLength(2)
    expect(done.at(-1)).toEqual([300, 300])
    expect(shardsIn(one.options.cache)).toHaveLength(2)
    const loaders = [cached, photoDataset(one.list, withoutCache(one.options))].map(
      (data) => new Loader(data, { batch: 50, seed: 4 }),
    )
    for (let step = 0; step < 8; step++) {
      const [ours, theirs] = await Promise.all(loaders.map((loader) => loader.next()))
      expect(Buffer.compare((await ours?.images.data()) as Buffer, (await theirs?.images.data()) as Buffer)).toBe(0)
      expect(ours?.augment).toEqual(theirs?.augment)
    }
  })

  test('a changed file gives a new shard, other settings give other shards, and the old ones stay', async () => {
    const one = cachedPhotos(300)
    await cachedDataset(one.list, one.options).prepare()
    const first = shardsIn(one.options.cache)
    const changed = one.list.sources[280] as string
    writeFileSync(changed, files[1])
    utimesSync(changed, 1e9, 1e9)
    const cached = cachedDataset(one.list, one.options)
    expect(await readOf(cached, Int32Array.of(280))).toEqual(
      await readOf(photoDataset(one.list, withoutCache(one.options)), Int32Array.of(280)),
    )
    await cached.prepare()
    const second = shardsIn(one.options.cache)
    expect(second).toHaveLength(3)
    expect(second).toEqual(expect.arrayContaining(first))
    // of the same size, at another time
    utimesSync(changed, 1e9, 1e9 + 0.5)
    expect(await cachedDataset(one.list, one.options).prepare()).toMatchObject({ images: 257 })
    expect(shardsIn(one.options.cache)).toHaveLength(4)
    utimesSync(changed, 1e9, 1e9)
    await cachedDataset(one.list, { ...one.options, crop: 24, flip: false, workers: 1 }).prepare()
    expect(shardsIn(one.options.cache)).toHaveLength(4)
    await cachedDataset(one.list, { ...one.options, channels: 1 }).prepare()
    await cachedDataset(one.list, { ...one.options, smallestSide: 41 }).prepare()
    expect(shardsIn(one.options.cache)).toHaveLength(8)
  })

  test('bytes are identified by their content, functions are rejected', async () => {
    const one = cachedPhotos(3)
    const held = { ...one.list, sources: [files[0], files[1], files[3]] }
    await cachedDataset(held, one.options).prepare()
    await cachedDataset(
      { ...held, sources: held.sources.map((bytes) => Uint8Array.from(bytes)) },
      one.options,
    ).prepare()
    expect(shardsIn(one.options.cache)).toHaveLength(1)
    const made = { ...one.list, sources: [async () => files[0], files[1], files[3]] }
    expect(() => cachedDataset(made, one.options)).toThrow(/a path or bytes for sources\[0\]/)
  })
})

describe('unreadable images', () => {
  test('are reported at each read as without a cache, and read again once their files are fixed', async () => {
    const one = cachedPhotos(12, { onUnreadable: 'skip' })
    writeFileSync(one.list.sources[4] as string, files[0].subarray(0, 300))
    rmSync(one.list.sources[7] as string)
    const cached = cachedDataset(one.list, one.options)
    const direct = photoDataset(one.list, withoutCache(one.options))
    const expected = await augmentedOf(direct)
    expect(expected.unreadable).toHaveLength(2)
    expect(await augmentedOf(cached)).toEqual(expected)
    expect(await readOf(cached)).toEqual(await readOf(direct))
    expect(await cached.prepare()).toEqual({ images: 9, missing: 3 })
    const strict = cachedDataset(one.list, { ...one.options, onUnreadable: 'throw' })
    await expect(readOf(strict)).rejects.toMatchObject({
      message: expect.stringContaining(String(one.list.names[7])),
    })
    writeFileSync(one.list.sources[4] as string, files[0])
    writeFileSync(one.list.sources[7] as string, files[1])
    expect((await readOf(cached)).unreadable).toEqual([])
    expect(await augmentedOf(cached)).toEqual(await augmentedOf(direct))
  })
})
