import { describe, expect, test } from 'vitest'
import type { Dataset } from '../../lib/data/dataset.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { meanOf, statisticsOf } from '../../lib/data/statistics.js'
import { Random } from '../../lib/random.js'

const height = 9
const width = 7

/** Noise with correlated channels, so that no entry of the covariance is near 0. */
function noise(count: number, channels: number, seed = 1) {
  const random = new Random(seed)
  const images = new Uint8Array(count * height * width * channels)
  for (let position = 0; position < images.length; position += channels) {
    const light = random.uniform(20, 180)
    for (let channel = 0; channel < channels; channel++)
      images[position + channel] = light + random.uniform(0, 20 + 25 * channel)
  }
  return {
    images,
    data: arrayDataset({ images, shape: [count, height, width, channels], labels: new Array(count).fill(0) }),
  }
}

/** Computes in two passes, by the definition, unlike the library. */
function twoPass(images: Uint8Array, channels: number) {
  const pixels = images.length / channels
  const mean = Array.from({ length: channels }, () => 0)
  for (let position = 0; position < images.length; position++) mean[position % channels] += images[position] / pixels
  const covariance = mean.map(() => mean.map(() => 0))
  for (let position = 0; position < images.length; position += channels) {
    for (const [i, row] of covariance.entries()) {
      for (const j of row.keys())
        row[j] += ((images[position + i] - mean[i]) * (images[position + j] - mean[j])) / pixels
    }
  }
  return { mean, covariance }
}

/** The same images, some of them unreadable. */
function damaged(data: Dataset, bad: (index: number) => boolean): Dataset {
  return {
    ...data,
    nameOf: (index) => `image ${index}`,
    async read(indices, into) {
      await data.read(indices, into)
      const bytes = into.length / indices.length
      return [...indices].flatMap((index, position) => {
        if (!bad(index)) return []
        into.fill(0, position * bytes, (position + 1) * bytes)
        return [{ position, name: `image ${index}`, reason: 'cut short' }]
      })
    },
  }
}

describe('statisticsOf', () => {
  test.each([1, 3])('mean and covariance of %d channels agree with the definition', async (channels) => {
    const { images, data } = noise(150, channels)
    const found = await statisticsOf(data)
    const expected = twoPass(images, channels)
    found.mean.forEach((mean, i) => {
      expect(Math.abs(mean - expected.mean[i])).toBeLessThan(1e-9)
      found.covariance[i]?.forEach((value, j) => {
        expect(Math.abs(value - expected.covariance[i][j])).toBeLessThan(1e-7)
        expect(value).toBe(found.covariance[j]?.[i])
      })
    })
    expect(found).toMatchObject({ images: 150, unreadable: [] })
    expect(found.colour === undefined).toBe(channels === 1)
  })

  test('the largest sums are exact: white images have variance 0', async () => {
    const side = 256
    const images = new Uint8Array(3 * side * side * 3).fill(255)
    const { mean, covariance } = await statisticsOf(
      arrayDataset({ images, shape: [3, side, side, 3], labels: [0, 0, 0] }),
    )
    expect(mean).toEqual([255, 255, 255])
    expect(covariance.flat()).toEqual(new Array(9).fill(0))
  })

  test('the colour shift fits the covariance: the squares of its values add up to the trace', async () => {
    const { covariance, colour } = await statisticsOf(noise(40, 3).data)
    const trace = covariance.reduce((sum, row, i) => sum + row[i], 0)
    const squares = colour?.values.reduce((sum, value) => sum + value ** 2, 0) ?? 0
    expect(Math.abs(squares / trace - 1)).toBeLessThan(1e-12)
    expect(colour?.deviation).toBe(0.1)
  })

  test('a limit gives the statistics of a random sample of that size, the same for the same seed', async () => {
    const { images, data } = noise(300, 3)
    const read: number[] = []
    const watched: Dataset = {
      ...data,
      read(indices, into) {
        read.push(...indices)
        return data.read(indices, into)
      },
    }
    const found = await statisticsOf(watched, { limit: 100, seed: 5 })
    expect(found.images).toBe(100)
    expect(new Set(read).size).toBe(100)
    const bytes = height * width * 3
    const chosen = Uint8Array.from(read.flatMap((index) => [...images.subarray(index * bytes, (index + 1) * bytes)]))
    expect(Math.abs(found.mean[1] - twoPass(chosen, 3).mean[1])).toBeLessThan(1e-9)
    expect(await statisticsOf(data, { limit: 100, seed: 5 })).toEqual(found)
    expect((await statisticsOf(data, { limit: 100, seed: 6 })).mean).not.toEqual(found.mean)
    expect((await statisticsOf(data, { limit: 300 })).mean).toEqual((await statisticsOf(data)).mean)
    expect((await statisticsOf(data, { limit: 5000 })).images).toBe(300)
  })

  test('unreadable images are reported with their index and not counted', async () => {
    const { images, data } = noise(200, 3)
    const bad = (index: number) => index % 7 === 3
    const found = await statisticsOf(damaged(data, bad))
    expect(found.unreadable.map(({ index }) => index)).toEqual([...new Array(200).keys()].filter(bad))
    expect(found.unreadable[1]).toMatchObject({ name: 'image 10', reason: 'cut short' })
    expect(found.images).toBe(200 - found.unreadable.length)
    const bytes = height * width * 3
    const good = images.filter((_, position) => !bad(Math.floor(position / bytes)))
    expect(Math.abs(found.mean[2] - twoPass(good, 3).mean[2])).toBeLessThan(1e-9)
    const part = await statisticsOf(damaged(data, bad), { limit: 80, seed: 2 })
    expect(part.unreadable.length).toBeGreaterThan(0)
    for (const { index, name } of part.unreadable) expect([bad(index), name]).toEqual([true, `image ${index}`])
    await expect(statisticsOf(damaged(data, () => true))).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringContaining('none of 200 could be read: image 0: cut short'),
    })
  })

  test('progress is reported to the end, and a signal stops the computation', async () => {
    const { data } = noise(200, 1)
    const steps: number[][] = []
    await statisticsOf(data, { onProgress: (done, of) => steps.push([done, of]) })
    expect(steps.at(-1)).toEqual([200, 200])
    expect(steps.length).toBeGreaterThan(2)
    const stop = new AbortController()
    const stopped = statisticsOf(data, { signal: stop.signal, onProgress: () => stop.abort('enough') })
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' })
  })

  test('invalid options are rejected by name, and read errors are passed on', async () => {
    const { data } = noise(5, 1)
    await expect(statisticsOf(data, { limit: 0 })).rejects.toThrow(/for limit/)
    await expect(statisticsOf(data, JSON.parse('{"limt":1}'))).rejects.toThrow(/did you mean 'limit'/)
    await expect(statisticsOf({} as never)).rejects.toThrow(/a dataset/)
    const broken = { ...data, read: () => Promise.reject(new Error('the disk is gone')) }
    await expect(statisticsOf(broken)).rejects.toThrow('the disk is gone')
  })
})

test('meanOf equals the sum value by value', async () => {
  const { images, data } = noise(120, 3, 8)
  const sums = [0, 0, 0]
  images.forEach((value, position) => {
    sums[position % 3] += value
  })
  expect(await meanOf(data)).toEqual(sums.map((sum) => sum / (120 * height * width)))
})
