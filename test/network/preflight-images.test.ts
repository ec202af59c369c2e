import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { preflightLines } from '../../lib/check/preflight-report.js'
import { type Dataset, imageBytes } from '../../lib/data/dataset.js'
import { subset } from '../../lib/data/derived.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { VggError } from '../../lib/error.js'
import { stripes } from '../setup/stripes.js'
import { all, checked, pixelsOf } from './checked.js'

/** The dataset with other pixels. */
async function changed(data: Dataset, change: (value: number, position: number) => number): Promise<Dataset> {
  const images = (await pixelsOf(data)).map(change)
  const { count, height, width, channels, labels, classNames } = data
  return arrayDataset({ images, shape: [count, height, width, channels], labels, classNames: [...classNames] })
}

/** The dataset, of which one image cannot be read. */
function broken(data: Dataset, bad: number, policy: 'skip' | 'throw'): Dataset {
  const nameOf = (index: number): string => `image-${index}.png`
  return {
    ...data,
    nameOf,
    async read(indices, into) {
      const position = indices.indexOf(bad)
      if (position !== -1 && policy === 'throw') throw new VggError('FILE_FORMAT', `${nameOf(bad)} is truncated`)
      await data.read(indices, into)
      if (position === -1) return []
      into.fill(0, position * imageBytes(data), (position + 1) * imageBytes(data))
      return [{ position, name: nameOf(bad), reason: 'is truncated' }]
    },
  }
}

const noWords = /^$/

describe('the input', () => {
  it('is reported after mean and scale', async () => {
    const data = stripes(64, 1)
    const { input } = await checked({ meanRgb: 100, scale: 0.5 }, { training: data })
    const pixels = Array.from(await pixelsOf(data))
    const mean = pixels.reduce((sum, value) => sum + value, 0) / pixels.length
    const variance = pixels.reduce((sum, value) => sum + (value - mean) ** 2, 0) / pixels.length
    const [channel] = input?.channels ?? []
    expect(channel?.mean).toBeCloseTo(mean, 6)
    expect(channel?.meanAfter).toBeCloseTo((mean - 100) / 2, 6)
    expect(channel?.deviationAfter).toBeCloseTo(Math.sqrt(variance) / 2, 6)
    expect(channel).toMatchObject({ least: Math.min(...pixels), most: Math.max(...pixels) })
  })

  it.each([
    {
      what: 'the mean of other data',
      net: { meanRgb: 33.3 },
      words: /subtracts the mean 33\.3, but these images have the mean 12\d/,
    },
    {
      what: 'pixels scaled twice',
      net: { scale: 1 / 58 / 255 },
      words: /weights expect about 1: the pixels seem to be scaled twice/,
    },
    {
      what: 'pixels not scaled',
      net: { scale: 1, initialisation: 'glorot' },
      words: /deviation 59 and the weights expect about 1/,
    },
    {
      what: "the paper's weights on scaled pixels",
      net: { scale: 1 / 58, initialisation: 'paper' },
      words: /goes with --scale 1/,
    },
    { what: 'nothing', net: {}, words: noWords },
  ] as const)('gives a warning for $what', async ({ net, words }) => {
    const { warnings } = await checked({ initialisation: 'he', ...net })
    expect(warnings.filter((text) => /input|mean/.test(text)).join()).toMatch(words)
  })

  it('of pixels from 0 to 1, and of equal pixels, is fatal', async () => {
    const unit = await changed(stripes(64, 1), (value) => (value > 128 ? 1 : 0))
    expect((await checked({}, { training: unit })).fatal.join()).toMatch(/no pixel is above 1: .*divided by 255/)
    const grey = await changed(stripes(64, 1), () => 7)
    expect((await checked({}, { training: grey })).fatal.join()).toMatch(/all pixels of all images are equal/)
  })
})

describe('the classes', () => {
  it('are counted in both parts; an empty one and a missing one are named', async () => {
    const data = stripes(90, 1)
    const without = subset(
      data,
      all(data).filter((index) => data.labels[index] !== 1),
    )
    const only = subset(
      data,
      all(data).filter((index) => data.labels[index] === 0),
    )
    const { classes, warnings } = await checked({}, { training: without, validation: stripes(30, 2) })
    const count = (of: Dataset, label: number): number => of.labels.filter((one) => one === label).length
    expect(classes.classes).toEqual(
      ['lying', 'progress', 'leaning'].map((name, label) => {
        return { name, training: count(without, label), validation: count(stripes(30, 2), label) }
      }),
    )
    expect(classes.empty).toEqual(['progress'])
    expect(warnings.join()).toMatch(/no training image of progress/)
    const short = await checked({}, { training: data, validation: only })
    expect(short.warnings.join()).toMatch(/no validation image of progress, leaning/)
  })

  it('that are unbalanced give a warning; a single class is fatal', async () => {
    const data = stripes(90, 1)
    const few = all(data).filter((index) => data.labels[index] === 0 || ((data.labels[index] ?? 0) > 0 && index < 4))
    const { classes, warnings } = await checked({}, { training: subset(data, few) })
    expect(classes.ratio).toBeGreaterThan(10)
    expect(warnings.join()).toMatch(/always predicting it would reach an accuracy of \d\d %/)
    const single = subset(
      data,
      all(data).filter((index) => data.labels[index] === 2),
    )
    expect((await checked({}, { training: single })).fatal.join()).toMatch(
      /all training images are of the class leaning/,
    )
  })

  it('with other names in the validation data are fatal', async () => {
    const validation = { ...stripes(30, 2), classNames: ['progress', 'lying', 'leaning'] }
    expect((await checked({}, { validation })).fatal.join()).toMatch(/class 0 is progress .* and lying/)
  })
})

describe('equal images', () => {
  it('in both parts, and under two classes, are found by their pixels', async () => {
    const data = stripes(40, 1)
    const { warnings, duplicates } = await checked(
      {},
      { training: data, validation: subset(stripes(10, 2), all(stripes(10, 2))) },
    )
    expect(duplicates).toMatchObject({
      compared: 'pixels',
      sharedCount: 0,
      contradictoryCount: 0,
      repeated: 0,
      images: 50,
    })
    expect(warnings).toEqual([])
    const leaked = await checked({}, { training: data, validation: subset(data, Int32Array.of(7, 31)) })
    expect(leaked.duplicates.shared).toEqual([
      { training: '7', validation: '0' },
      { training: '31', validation: '1' },
    ])
    expect(leaked.warnings.join()).toMatch(/2 validation images are also in the training data/)
    const twice = subset(data, Int32Array.of(...all(data), 5, 6))
    twice.labels[40] = ((data.labels[5] ?? 0) + 1) % 3
    const { duplicates: found } = await checked({}, { training: twice })
    expect(found).toMatchObject({ contradictoryCount: 1, repeated: 1 })
    expect(found.contradictory[0]?.names).toEqual(['5', '40'])
    expect(found.contradictory[0]?.classes).toEqual([5, 40].map((index) => twice.classNames[twice.labels[index] ?? -1]))
  })

  describe('in files', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'preflight-'))
    })
    afterEach(() => rm(folder, { recursive: true }))

    it('are found by their bytes, whatever their names; equal sizes are not enough', async () => {
      const written = async (name: string, content: string): Promise<string> => {
        await writeFile(path.join(folder, name), content)
        return path.join(folder, name)
      }
      const training = [await written('a', 'one'), await written('b', 'two'), await written('c', 'three')]
      const validation = [await written('d', 'two'), await written('e', 'six'), path.join(folder, 'missing')]
      const list = (sources: string[]) => ({
        sources,
        names: sources.map((one) => path.basename(one)),
        labels: new Int32Array(3),
      })
      const { duplicates, warnings } = await checked(
        {},
        {
          training: subset(stripes(9, 1), Int32Array.of(0, 1, 2)),
          validation: subset(stripes(9, 1), Int32Array.of(0, 1, 2)),
          trainingFiles: list(training),
          validationFiles: list(validation),
        },
      )
      expect(duplicates).toMatchObject({ compared: 'files', sharedCount: 1 })
      expect(duplicates.shared).toEqual([{ training: 'b', validation: 'd' }])
      expect(warnings.join()).toMatch(/the first d, which is b/)
    })
  })
})

describe('images that cannot be read', () => {
  it('are named with the reason; with skip they are a warning', async () => {
    const report = await checked({}, { training: broken(stripes(40, 1), 11, 'skip') })
    expect(report.files).toMatchObject({ checked: 40, of: 40, unreadableCount: 1 })
    expect(report.files.unreadable).toEqual([
      { part: 'training', index: 11, name: 'image-11.png', reason: 'is truncated' },
    ])
    expect(report.fatal).toEqual([])
    expect(report.warnings.join()).toMatch(/1 image cannot be read, the first image-11.png: is truncated; skipped/)
    expect(report.duplicates.images).toBe(39)
    expect(report.speed?.imagesPerSecond).toBeGreaterThan(0)
  })

  it('are fatal for a dataset that throws; all of them are found', async () => {
    const { files, fatal, activations } = await checked({}, { training: broken(stripes(40, 1), 11, 'throw') })
    expect(files.unreadable.map(({ index }) => index)).toEqual([11])
    expect(fatal.join()).toMatch(/image-11.png is truncated; training would end there: use --on-unreadable skip/)
    expect(activations?.layers.length).toBe(11)
  })

  it('are searched in a sample of a large dataset, and the report says so', async () => {
    const training = broken(stripes(90, 1), 3, 'skip')
    const report = await checked({}, { training, limit: 20 })
    expect(report.files).toMatchObject({ checked: 20, of: 90 })
    expect(preflightLines(report).join('\n')).toMatch(/20 of 90 opened, a random sample/)
  })

  it('and no others end the check', async () => {
    const training: Dataset = {
      ...stripes(5, 1),
      read: async (indices) =>
        Array.from(indices, (index, position) => ({ position, name: String(index), reason: 'is empty' })),
    }
    const report = await checked({}, { training })
    expect(report.fatal.join()).toMatch(/no training image can be read: 5 images/)
    expect(report).toMatchObject({ input: undefined, activations: undefined, speed: undefined })
  })
})
