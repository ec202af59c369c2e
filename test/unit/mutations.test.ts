import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addConfigFlag } from '../../lib/cli/flags/config.js'
import { addTrainFlags, descriptionOf, type TrainFlags } from '../../lib/cli/flags/train-flags.js'
import type { Dataset } from '../../lib/data/dataset.js'
import { VggError } from '../../lib/error.js'
import { complete } from '../../lib/run/description.js'
import { readRunFile, runFiles, trainingsOf } from '../../lib/run/folder.js'
import { loadNewestTraining } from '../../lib/train/load-training.js'
import { train } from '../../lib/train/trainer.js'
import { decodeState, encodeState, stateCheck } from '../../lib/train/training-state.js'
import { newFolder } from '../setup/folder.js'
import { type Mutation, mutationsOf } from '../setup/mutations.js'
import { smallNet, stripes } from '../setup/stripes.js'

/** Reads every mutation: each is accepted, or refused with this code and the name of a key of its path. */
async function refusedOf(
  valid: object,
  code: string,
  read: (mutation: Mutation) => unknown,
): Promise<Map<string, string>> {
  const refused = new Map<string, string>()
  for (const mutation of mutationsOf(valid)) {
    const name = `${mutation.path.join('.')} ${mutation.change}`
    try {
      await read(mutation)
    } catch (error) {
      if (!(error instanceof VggError) || error.code !== code) throw new Error(`${name}: ${error}`, { cause: error })
      expect(error.message, name).toMatch(/(Expected .* but received|Expected .* but found|Received) /)
      const keys = mutation.path.filter((key) => !/^\d+$/.test(key))
      expect(
        keys.some((key) => error.message.includes(key)),
        `${name}: ${error.message}`,
      ).toBe(true)
      refused.set(name, error.message)
    }
  }
  return refused
}

test('each value of run.json replaced by many others: a run that is described, or FILE_FORMAT with file and key', async () => {
  const folder = newFolder()
  const description = {
    data: { kind: 'list', path: '/images.csv', validationPath: '/validation.csv' },
    validation: 0.25,
    classNames: ['a', 'b'],
    photographs: {
      ...{ smallestSide: [40, 60], randomCrop: true, flip: true, colour: true, onUnreadable: 'throw' },
      ...{ cache: '/cache', workers: 2, formats: ['jpeg'], pixelLimit: 1e6, decodeSeconds: 3 },
    },
    model: {
      ...{ variant: 'A', classes: 2, channels: 1, imageSize: [32, 32], width: 0.125, headWidth: 32, dropout: 0.5 },
      ...{ localNorm: 'literal', initialisation: 'he', meanRgb: [9], scale: [1] },
    },
    start: {},
    freeze: ['conv1_1'],
    rates: { fc8: 2 },
    ...{ seed: 1, shift: 0, background: 0 },
    training: {
      ...{ epochs: 1, batch: 16, microBatch: 4, learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 },
      ...{ schedule: { kind: 'plateau', patience: 2 }, onNotFinite: { back: 0.1, times: 2 } },
    },
    checkpoints: { keep: 2, minutes: 10 },
    device: { device: 'cpu', precision: 'float32', deterministic: false, threads: 1, exact: false },
  }
  const valid = { format: 1, vggnet: '0.1.0', plan: 'paper', description }
  const refused = await refusedOf(valid, 'FILE_FORMAT', async ({ mutated }) => {
    writeFileSync(runFiles(folder).description, JSON.stringify(mutated))
    const file = await readRunFile(folder)
    expect(trainingsOf(folder, file)).toHaveLength(1)
  })
  expect(refused.size).toBeGreaterThan(350)
  const start = `${path.join(folder, 'run.json')}: Expected `
  for (const message of refused.values()) expect(message.startsWith(start), message).toBe(true)
  expect(refused.get('description.photographs.cache = null')).toBe(
    `${start}the path of a file for description.photographs.cache but received null`,
  )
})

test('each value of the state of a training replaced by many others: a state, or FILE_FORMAT with the key', async () => {
  const folder = newFolder()
  const net = await smallNet({ threads: 1 })
  const [data, validation] = [stripes(8, 1), stripes(4, 2)]
  const bad: Dataset['read'] = async (indices, into) => {
    await data.read(indices, into)
    return [{ position: 0, name: 'x.png', reason: 'it is empty' }]
  }
  const options = { validation: { ...validation, read: bad }, epochs: 1, batch: 4, checkpoint: { folder } }
  await train(net, { ...data, read: bad }, options)
  net.dispose()
  const loaded = await loadNewestTraining(folder)
  loaded?.net.dispose()
  if (loaded === undefined) throw new Error('there is no checkpoint')
  const { state: text, tables } = encodeState(loaded.state)
  const refused = await refusedOf(JSON.parse(text), 'FILE_FORMAT', ({ mutated }) =>
    decodeState(JSON.stringify(mutated), tables),
  )
  expect(refused.size).toBeGreaterThan(700)
  expect(refused.get('loader.order.words = []')).toBe(
    'The state of the training is not valid: Expected { words } with four integers for loader.order but received Object (object)',
  )
  // a program may change the state too
  await refusedOf({ resume: loaded.state }, 'INVALID_ARGUMENT', ({ mutated }) => {
    const { resume } = mutated as { resume: unknown }
    return resume === undefined ? undefined : stateCheck(resume, 'resume')
  })
})

test('each value of a config file replaced by many others: flags, or INVALID_ARGUMENT with file and key', async () => {
  const file = path.join(newFolder(), 'config.json')
  const valid = {
    ...{ variant: 'A', imageSize: [32, 32], epochs: 3, momentum: 0.9, cache: '/cache', classNames: ['a', 'b'] },
    ...{
      flip: false,
      schedule: 'plateau',
      patience: 2,
      rateFactors: { fc8: 2 },
      freeze: ['conv1'],
      microBatch: 'auto',
    },
    ...{ smallestSide: [40, 60], device: 'cpu', scale: [1, 1, 1], out: 'run', onNotFinite: 'skip' },
  }
  const refused = await refusedOf(valid, 'INVALID_ARGUMENT', async ({ mutated }) => {
    writeFileSync(file, JSON.stringify(mutated))
    let read: TrainFlags | undefined
    const command = addConfigFlag(addTrainFlags(new Command().exitOverride()))
    command.action(() => {
      read = command.opts()
    })
    await command.parseAsync(['--config', file], { from: 'user' })
    if (read === undefined) throw new Error('the command did not run')
    complete(descriptionOf('/data', read))
  })
  expect(refused.size).toBeGreaterThan(120)
  // layers are looked for when all flags are known
  const named = [...refused].filter(([name]) => !/^(freeze|rateFactors)/.test(name))
  for (const [name, message] of named) expect(message, name).toContain(file)
  expect(refused.get('cache = null')).toContain(`for cache in ${file} but received null`)
})
