import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { save } from '../../lib/checkpoint/checkpoint.js'
import { readRunLog } from '../../lib/report/log-line.js'
import type { RunDescription } from '../../lib/run/description.js'
import { type RunFile, readRunFile, runFiles } from '../../lib/run/folder.js'
import { createRun, runAll } from '../../lib/run/run.js'
import { findSources } from '../../lib/run/sources.js'
import { openNetwork } from '../../lib/run/start.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { load } from '../../lib/weights/load.js'
import { newFolder } from '../setup/folder.js'
import { runDescription } from '../setup/run-description.js'
import { writeStripes } from '../setup/stripe-files.js'
import { smallNet } from '../setup/stripes.js'
import { parametersOfNet } from './small.js'

const names = ['lying', 'progress', 'leaning']
let net: VGG
beforeAll(async () => {
  net = await smallNet({ meanRgb: [100], scale: [0.5], dropout: 0.25, classNames: names })
})
afterAll(() => net.dispose())

/** A model of A, data of its classes, and the file of a run that continues from the model. */
async function started(model: RunDescription['model'], classNames: readonly string[] = names) {
  const folder = newFolder()
  const from = path.join(folder, 'model.safetensors')
  await save(net, from)
  const data = await writeStripes(folder, 'images', 24, 1)
  const file: RunFile = {
    format: 1,
    vggnet: '0.1.0',
    description: runDescription({ data, classNames, model, start: { from } }),
  }
  return { folder, file, run: path.join(folder, 'run') }
}

async function opened({ description }: RunFile, look: (net: VGG) => Promise<void>): Promise<void> {
  const made = await openNetwork(description, await findSources(description))
  try {
    await look(made)
  } finally {
    made.dispose()
  }
}

describe('options of a network together with a model to continue from', () => {
  test.each<[string, RunDescription['model'], RegExp]>([
    ['variant', { variant: 'VGG19' }, /variant \(--variant\) than that of the model .*, A, but received E$/],
    ['row', { variant: { blocks: [[3]], channels: [8] } }, /--variant.*, A, but received custom$/],
    ['channels', { channels: 3 }, /channels \(--channels\).*, 1, but received 3$/],
    ['imageSize', { imageSize: [64, 32] }, /--image-size.*, 32x32, but received 64x32$/],
    ['width', { width: 1 }, /--width.*, 0\.125, but received 1$/],
    ['headWidth', { headWidth: 4096 }, /--head-width.*, 32, but received 4096$/],
    ['localNorm', { localNorm: 'caffe' }, /--local-norm.*, literal, but received caffe$/],
    ['meanRgb', { meanRgb: [33] }, /--mean.*, 100, but received 33$/],
    ['scale', { scale: [1] }, /--scale.*, 0\.5, but received 1$/],
    [
      'initialisation',
      { initialisation: 'he' },
      /no initialisation \(--initialisation\) where all layers .* 3 classes/,
    ],
    ['classes', { classes: 0 }, /for classes/],
    ['dropout', { dropout: 1 }, /from 0 to below 1 for dropout/],
  ])('%s is refused, before the folder is created and when the network is opened', async (_, model, message) => {
    const { file, run } = await started(model)
    const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }
    await expect(createRun(run, file)).rejects.toMatchObject(error)
    await expect(readRunFile(run)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(opened(file, async () => undefined)).rejects.toMatchObject(error)
  })

  test('a second model to copy layers from is refused', async () => {
    const { file, run } = await started({})
    const { description } = file
    const start = { ...description.start, transplant: 'other' }
    await expect(createRun(run, { ...file, description: { ...description, start } })).rejects.toThrow(/received both/)
  })

  test('values of the model itself, by any of their names, are accepted', async () => {
    const same = { variant: 'VGG-11', imageSize: [32, 32], width: 0.125, meanRgb: [100], dropout: 0.25 } as const
    const { file, run } = await started(same)
    await createRun(run, file)
    await opened(file, async (made) => expect(await parametersOfNet(made)).toEqual(await parametersOfNet(net)))
  })

  test('dropout is applied, and no weight changes', async () => {
    const { file } = await started({ dropout: 0.75 })
    await opened(file, async (made) => {
      expect(made.configuration).toEqual({ ...net.configuration, dropout: 0.75 })
      expect(made.classNames).toEqual(names)
      expect(await parametersOfNet(made)).toEqual(await parametersOfNet(net))
    })
  })

  test('classes create a new last layer with the given initialisation; other layers are kept', async () => {
    const { file } = await started({ classes: 5, dropout: 0, initialisation: 'paper' })
    await opened(file, async (made) => {
      expect(made.configuration).toEqual({ ...net.configuration, classes: 5, dropout: 0 })
      expect(made.classNames).toEqual([])
      const { 'fc8.weight': head = new Float32Array(), 'fc8.bias': _, ...others } = await parametersOfNet(made)
      expect(await parametersOfNet(net)).toMatchObject(others)
      // the deviation of `paper`; that of glorot is 0.23 here
      const deviation = Math.sqrt(head.reduce((sum, value) => sum + value * value, 0) / head.length)
      expect(deviation).toBeCloseTo(0.01, 2)
    })
  })
})

describe('run.json and the log of a run that continues from a model', () => {
  test('record the network that is trained', async () => {
    const { file, run } = await started({ dropout: 0 }, ['a', 'b', 'c'])
    const written = await createRun(run, file)
    expect(written.description.model).toEqual({
      ...{ variant: 'A', classes: 3, channels: 1, imageSize: [32, 32], width: 0.125, headWidth: 32, dropout: 0 },
      ...{ localNorm: 'literal', meanRgb: [100], scale: [0.5], initialisation: 'glorot' },
    })
    expect(written.description.start).toMatchObject({ lastLayer: 'new' })
    expect(await readRunFile(run)).toEqual(written)
    await runAll(run, written, {})
    const trained = await load(runFiles(run).model, { device: 'cpu' })
    const { preprocessing: _, ...configuration } = trained.configuration
    trained.dispose()
    const { initialisation, variant, ...recorded } = written.description.model
    expect(configuration).toMatchObject(recorded)
    expect(configuration.variant.name).toBe(variant)
    const { lines } = await readRunLog(runFiles(run).log)
    expect(lines[0]).toMatchObject({ model: 'VGG A', classes: 3, settings: { dropout: 0, width: 0.125 } })
  })

  test('a run.json of an older version, with options without effect, continues as it was created', async () => {
    const { folder, file } = await started({}, ['a', 'b', 'c'])
    const expected = path.join(folder, 'expected')
    await runAll(expected, await createRun(expected, file), {})
    const old = path.join(folder, 'old')
    await createRun(old, file)
    const ignored = {
      variant: 'E',
      initialisation: 'he',
      classes: 7,
      dropout: 0.9,
      imageSize: [64, 64],
      width: 1,
    } as const
    const { rateFactors: rates, ...others } = file.description
    const description = { ...others, rates, model: ignored }
    writeFileSync(runFiles(old).description, JSON.stringify({ ...file, description }))
    await runAll(old, await readRunFile(old), {})
    const [one, other] = [expected, old].map((run) => readFileSync(runFiles(run).model))
    expect(one?.equals(other ?? Buffer.of())).toBe(true)
  })
})
