import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { subset } from '../../lib/data/derived.js'
import { evaluate, evaluateParts } from '../../lib/evaluate/evaluate.js'
import type { RunDescription } from '../../lib/run/description.js'
import { type RunFile, runFiles } from '../../lib/run/folder.js'
import { createRun, runAll } from '../../lib/run/run.js'
import { imageIds, type ScoredImages, scoredImages } from '../../lib/run/scored-images.js'
import { findSources } from '../../lib/run/sources.js'
import { newFolder } from '../setup/folder.js'
import { all, writePhotos } from '../setup/photos.js'
import { runDescription } from '../setup/run-description.js'
import { writeStripes } from '../setup/stripe-files.js'
import { smallNet, stripes } from '../setup/stripes.js'

const model = { variant: 'A', imageSize: [32, 32], width: 0.125, headWidth: 8 } as const
const names = ['a', 'b'].flatMap((name) => Array.from({ length: 8 }, (_, index) => `${name}/${index}.png`))

/** The folder of a run on 16 images of two classes, not trained yet: 12 for training and 4 held out. */
async function runOnPhotos(changes: Partial<RunDescription> = {}, file: Partial<RunFile> = {}) {
  const folder = newFolder()
  const photos = path.join(folder, 'photos')
  await writePhotos(photos, names)
  const data = { kind: 'folder', path: photos } as const
  const description = runDescription({ data, model, ...changes })
  const run = path.join(folder, 'run')
  const written = await createRun(run, { format: 1, vggnet: '0.1.0', description, ...file })
  return { folder, photos, data, run, written }
}

const countsOf = ({ part, parts, sources, own, trainingImages, unknown }: ScoredImages) => {
  const count = ({ labels }: { labels: Int32Array }) => labels.length
  const images = parts.reduce((sum, name) => sum + count(sources[name] ?? { labels: new Int32Array() }), 0)
  return { part, own, images, trainingImages, unknown }
}

const heldOut = { part: 'validation', own: true, images: 4, trainingImages: 0, unknown: [] }

describe("a run's own data", () => {
  test('are scored on the part that its training held out', async () => {
    const { run, written } = await runOnPhotos()
    const scored = await scoredImages({ model: run })
    expect(countsOf(scored)).toEqual(heldOut)
    expect(scored.text).toBe("the validation part of the run's own data")
    const { validation } = await findSources(written.description)
    expect(scored.sources.validation).toEqual(validation)
  })

  test.each([
    { part: 'training', images: 12 },
    { part: 'all', images: 16 },
  ] as const)('--part $part counts the images that it was trained on', async ({ part, images }) => {
    const { run } = await runOnPhotos()
    expect(countsOf(await scoredImages({ model: run, part }))).toEqual({ ...heldOut, part, images, trainingImages: 12 })
  })

  test('are the same by name, and through a link', async () => {
    const { run, folder, data } = await runOnPhotos()
    expect(countsOf(await scoredImages({ model: run, data }))).toEqual(heldOut)
    const link = path.join(folder, 'link')
    symlinkSync(data.path, link)
    expect(countsOf(await scoredImages({ model: run, data: { kind: 'folder', path: link } }))).toEqual(heldOut)
    await expect(scoredImages({ model: run, data, classNames: ['b', 'a'] })).rejects.toThrow(/no other class names/)
  })

  test('of a plan are those of all its trainings', async () => {
    const { run } = await runOnPhotos({}, { plan: 'paper-transplant' })
    expect(countsOf(await scoredImages({ model: run }))).toEqual(heldOut)
  })

  test('without a held-out part are scored only on request', async () => {
    const { run, data } = await runOnPhotos({ validation: 0 })
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/held no images out for validation/) }
    await expect(scoredImages({ model: run })).rejects.toMatchObject(error)
    await expect(scoredImages({ model: run, data })).rejects.toMatchObject(error)
    const scored = await scoredImages({ model: run, part: 'training' })
    expect(countsOf(scored)).toEqual({ ...heldOut, part: 'training', images: 16, trainingImages: 16 })
  })

  test('that have changed since are not split again', async () => {
    const { run, photos, written } = await runOnPhotos()
    await runAll(run, written, {})
    expect(countsOf(await scoredImages({ model: run }))).toEqual(heldOut)
    await writePhotos(photos, ['a/new.png'])
    await expect(scoredImages({ model: run })).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(/data of the run .* but images or labels were added/),
    })
    const { images, trainingImages, unknown } = countsOf(await scoredImages({ model: run, part: 'all' }))
    expect({ images, trainingImages }).toEqual({ images: 17, trainingImages: 0 })
    expect(unknown).toEqual([expect.stringMatching(/not known which images the run .* was trained on/)])
  })
})

describe('other data', () => {
  test('count the images that the run was trained on, whatever path or link leads to them', async () => {
    const { run, folder, photos, written } = await runOnPhotos()
    const { training } = await findSources(written.description)
    const [first = '', second = ''] = 'names' in training ? training.names : []
    const other = path.join(folder, 'other')
    await writePhotos(other, ['a/new.png', 'b/new.png'])
    symlinkSync(path.relative(path.join(other, 'a'), first), path.join(other, 'a', 'link.png'))
    linkSync(second, path.join(other, 'b', 'same.png'))
    const scored = await scoredImages({ model: run, data: { kind: 'folder', path: other } })
    expect(countsOf(scored)).toEqual({ part: 'all', own: false, images: 4, trainingImages: 2, unknown: [] })
    expect(scored.text).toBe('all of the data')
    // the whole of the run's data under another division
    const divided = path.join(folder, 'divided')
    mkdirSync(divided)
    for (const part of ['train', 'val']) symlinkSync(photos, path.join(divided, part))
    const data = { kind: 'folder', path: divided } as const
    const expected = { part: 'validation', own: false, images: 16, trainingImages: 12, unknown: [] }
    expect(countsOf(await scoredImages({ model: run, data }))).toEqual(expected)
  })

  test('have parts, or none to choose', async () => {
    const { run, folder } = await runOnPhotos()
    const other = path.join(folder, 'other')
    await writePhotos(other, ['a/1.png', 'b/1.png'])
    const data = { kind: 'folder', path: other } as const
    await expect(scoredImages({ model: run, data, part: 'validation' })).rejects.toThrow(/the data have no parts/)
  })

  test('of one file are identified by their indices', async () => {
    const folder = newFolder()
    const data = await writeStripes(folder, 'images', 24, 1)
    const run = path.join(folder, 'run')
    await createRun(run, { format: 1, vggnet: '0.1.0', description: runDescription({ data, model }) })
    expect(countsOf(await scoredImages({ model: run, data }))).toEqual({ ...heldOut, images: 6 })
    // other labels make other data of the same images
    const labels = (await writeStripes(folder, 'other', 24, 1)).labels
    const again = await scoredImages({ model: run, data: { ...data, labels } })
    expect(countsOf(again)).toEqual({ part: 'all', own: false, images: 24, trainingImages: 18, unknown: [] })
    const ids = await Promise.all(
      (['training', 'validation'] as const).map(async (part) =>
        imageIds(await findSources(runDescription({ data, model })), part),
      ),
    )
    expect(new Set(ids.flat()).size).toBe(24)
  })
})

test('of a CIFAR folder, both sets are distinguished', async () => {
  const folder = newFolder()
  const records = (count: number) => Buffer.alloc(count * 3073, 1)
  writeFileSync(path.join(folder, 'data_batch_1.bin'), records(8))
  writeFileSync(path.join(folder, 'test_batch.bin'), records(3))
  const data = { kind: 'folder', path: folder } as const
  const run = newFolder()
  await createRun(run, { format: 1, vggnet: '0.1.0', description: runDescription({ data, model }) })
  expect(countsOf(await scoredImages({ model: run }))).toEqual({ ...heldOut, images: 3 })
  const every = await scoredImages({ model: run, part: 'all' })
  expect(countsOf(every)).toEqual({ ...heldOut, part: 'all', images: 11, trainingImages: 8 })
})

describe('a damaged run.json', () => {
  test.each([
    ['without data', { data: undefined }, /an object for description.data but received undefined/],
    ['with a number for a path', { data: { kind: 'folder', path: 7 } }, /for description.data.path but received 7/],
    ['with a model that is no path', { start: { from: {} } }, /for description.start.from but received Object/],
  ])('%s is refused', async (_, damage, message) => {
    const { run } = await runOnPhotos()
    const written = JSON.parse(readFileSync(runFiles(run).description, 'utf8'))
    const damaged = { ...written, description: { ...written.description, ...damage } }
    writeFileSync(runFiles(run).description, JSON.stringify(damaged))
    await expect(scoredImages({ model: run })).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(message),
    })
  })
})

describe('a run that continued from a model', () => {
  test('was also trained on the images of the run that made the model', async () => {
    const { run, folder, data, written } = await runOnPhotos()
    await runAll(run, written, {})
    for (const [name, from] of Object.entries({ folder: run, file: runFiles(run).model, best: runFiles(run).best })) {
      const next = path.join(folder, name)
      const description = runDescription({ data, model: {}, seed: 2, start: { from } })
      await createRun(next, { format: 1, vggnet: '0.1.0', description })
      const { trainingImages, unknown } = await scoredImages({ model: next })
      // 4 held out with another seed, of which the first run had learnt from most
      expect(trainingImages).toBeGreaterThan(0)
      expect(unknown).toEqual([])
    }
  })

  test('reports that nothing is known of that model', async () => {
    const { folder, data } = await runOnPhotos()
    const net = await smallNet({ channels: 3, classes: 2 })
    const from = path.join(folder, 'model.safetensors')
    await save(net, from)
    net.dispose()
    const next = path.join(folder, 'next')
    const description = runDescription({ data, model: {}, start: { from } })
    await createRun(next, { format: 1, vggnet: '0.1.0', description })
    const { trainingImages, unknown } = await scoredImages({ model: next })
    expect(trainingImages).toBe(0)
    expect(unknown).toEqual([
      `nothing is known about the images that ${from}, with which the run began, was trained on`,
    ])
  })
})

describe('the roles of model and data', () => {
  test('a model file has no data and no training that is known', async () => {
    const { data, folder } = await runOnPhotos()
    const file = path.join(folder, 'any.safetensors')
    await expect(scoredImages({ model: file })).rejects.toThrow(/Expected data to score/)
    const scored = await scoredImages({ model: file, data })
    expect(countsOf(scored)).toMatchObject({ part: 'all', own: false, images: 16, trainingImages: 0 })
    expect(scored.unknown).toEqual([`nothing is known about the images that ${file} was trained on`])
  })

  test('a folder without run.json is not a model, the folder of a run not a dataset', async () => {
    const { data, run } = await runOnPhotos()
    await expect(scoredImages({ model: data.path })).rejects.toThrow(/for the model but .*photos is a folder without/)
    const other = { model: run, data: { kind: 'folder', path: run } } as const
    await expect(scoredImages(other)).rejects.toThrow(/for the data but .*run is the folder of a run/)
  })
})

test('evaluateParts scores several datasets as if they were one', async () => {
  const data = stripes(30, 2)
  const net = await smallNet()
  const parts = [
    subset(data, all(11)),
    subset(
      data,
      Int32Array.from({ length: 19 }, (_, index) => 11 + index),
    ),
  ]
  const { loss, ...figures } = await evaluate(net, data, { batch: 8 })
  const { loss: lossOfParts, ...figuresOfParts } = await evaluateParts(net, parts, { batch: 8 })
  net.dispose()
  expect(figuresOfParts).toEqual(figures)
  expect(lossOfParts).toBeCloseTo(loss, 6)
})
