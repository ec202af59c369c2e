import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { checkpointsIn } from '../../lib/checkpoint/checkpoint-folder.js'
import { paddedDataset } from '../../lib/data/derived.js'
import { arrayDataset } from '../../lib/data/sources/arrays.js'
import { meanOf } from '../../lib/data/statistics.js'
import { sizedRun } from '../../lib/run/datasets.js'
import { type RunFile, readRunFile, runFiles } from '../../lib/run/folder.js'
import { createRun, runAll } from '../../lib/run/run.js'
import { findSources } from '../../lib/run/sources.js'
import { fitted } from '../../lib/run/start.js'
import { loadTraining } from '../../lib/train/load-training.js'
import { requestedIn } from '../../lib/train/options.js'
import { newFolder } from '../setup/folder.js'
import { idxBytes } from '../setup/idx-bytes.js'
import { runDescription } from '../setup/run-description.js'
import { writeStripes } from '../setup/stripe-files.js'

test('the mean is that of the padded images, border included, without random shifts', async () => {
  const folder = newFolder()
  const [images, labels] = [path.join(folder, 'images'), path.join(folder, 'labels')]
  const pixels = Uint8Array.from({ length: 6 * 28 * 28 }, (_, index) => (index * 7) & 255)
  writeFileSync(images, idxBytes([6, 28, 28], pixels))
  writeFileSync(labels, idxBytes([6], Uint8Array.of(0, 1, 0, 1, 0, 1)))
  const data = { kind: 'idx', images, labels } as const
  const description = runDescription({
    data,
    validation: 0,
    background: 9,
    shift: 3,
    model: { variant: 'A', initialisation: 'he' },
  })
  const sources = await findSources(description)
  const { model } = await fitted(description, sources)
  const small = arrayDataset({ images: pixels, shape: [6, 28, 28, 1], labels: [0, 1, 0, 1, 0, 1] })
  expect(model.meanRgb).toEqual(await meanOf(paddedDataset(small, { height: 32, width: 32 }, 9)))
  expect(model.meanRgb).not.toEqual(await meanOf(small))
  // larger still where a larger network is asked for; what a description states is kept
  const large = await fitted(
    { ...description, model: { variant: 'A', initialisation: 'he', imageSize: [40, 48] } },
    sources,
  )
  expect(large.model.meanRgb).toEqual(await meanOf(paddedDataset(small, { height: 40, width: 48 }, 9)))
  expect((await fitted({ ...description, model: { ...model, meanRgb: [71.9] } }, sources)).model.meanRgb).toEqual([
    71.9,
  ])
})

test('rate factors are `rates` in run.json and in checkpoints, as in older versions, and a run resumes with them', async () => {
  const folder = newFolder()
  const data = await writeStripes(folder, 'images', 24, 1)
  const model = { variant: 'A', width: 0.125, headWidth: 32, imageSize: [32, 32] } as const
  const description = runDescription({ data, model, rateFactors: { fc8: 2 }, classNames: ['a', 'b', 'c'] })
  const file: RunFile = { format: 1, vggnet: '0.1.0', description }
  const run = path.join(folder, 'run')
  await createRun(run, file)
  const stop = new AbortController()
  const stopped = runAll(run, file, { signal: stop.signal, onStep: () => stop.abort() })
  await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' })
  const { rateFactors, rates, ...others } = JSON.parse(readFileSync(runFiles(run).description, 'utf8')).description
  expect({ rateFactors, rates }).toEqual({ rates: { fc8: 2 } })
  // the order of keys in a run.json of an older version
  writeFileSync(runFiles(run).description, JSON.stringify({ ...file, description: { rates, ...others } }))
  const read = await readRunFile(run)
  expect(read).toEqual(file)
  expect((await runAll(run, read, {}))?.steps).toBe(2)
  const [checkpoint] = await checkpointsIn(runFiles(run).checkpoints)
  const header = readFileSync(checkpoint?.path ?? '').toString('latin1')
  expect(header).toMatch(/\\"conditions\\":.*\\"rates\\":\{\\"fc8\\":2\}/)
  expect(header).not.toMatch(/rateFactors|fingerprint/)
})

test('a run.json of an older version, without a schedule and with a batch above its images, starts as it did then', async () => {
  const folder = newFolder()
  const data = await writeStripes(folder, 'images', 24, 1)
  const model = { variant: 'A', width: 0.125, headWidth: 32, imageSize: [32, 32] } as const
  const description = runDescription({ data, model })
  const training = { ...description.training, batch: 256 }
  const run = path.join(folder, 'run')
  const file = await createRun(run, { format: 1, vggnet: '0.1.0', description: { ...description, training } })
  expect(await runAll(run, file, {})).toMatchObject({ steps: 1 })
  const [checkpoint] = await checkpointsIn(runFiles(run).checkpoints)
  const { net, state } = await loadTraining(checkpoint?.path ?? '')
  net.dispose()
  const { batch, schedule } = state.fingerprint.options
  expect({ batch, schedule }).toEqual({ batch: 18, schedule: { kind: 'plateau', patience: 3, drops: 3, divisor: 10 } })
  // a new run records what was chosen for its 18 images
  const request = { ...description, training: requestedIn('training', { microBatch: 4 }) }
  const { description: complete, chosen } = sizedRun(request, await findSources(description))
  expect(chosen).toBe('batch 18, 2000 epochs, patience 200: chosen for 18 training images')
  expect(complete.training).toMatchObject({ microBatch: 4, batch: 18, epochs: 2000, schedule: { patience: 200 } })
})

test('of runs created in one folder at once exactly one is, with its own run.json; the others are refused', async () => {
  const folder = newFolder()
  const data = await writeStripes(folder, 'images', 24, 1)
  const run = path.join(folder, 'a/b/run')
  const seeds = [1, 2, 3, 4, 5, 6]
  const file = (seed: number): RunFile => {
    return { format: 1, vggnet: '0.1.0', description: runDescription({ data, model: { variant: 'A' }, seed }) }
  }
  const created = await Promise.allSettled(seeds.map((seed) => createRun(run, file(seed))))
  const winners = created.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(winners).toHaveLength(1)
  expect(await readRunFile(run)).toEqual(winners[0])
  for (const one of created) {
    if (one.status === 'rejected')
      expect(one.reason).toMatchObject({ code: expect.stringMatching(/^(FOLDER_IN_USE|INVALID_ARGUMENT)$/) })
  }
  expect(readdirSync(run)).toEqual(['run.json'])
})
