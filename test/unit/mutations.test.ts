import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { VggError } from '../../lib/error.js'
import { readRunFile, runFiles, trainingsOf } from '../../lib/run/folder.js'
import { newFolder } from '../setup/folder.js'
import { type Mutation, mutationsOf } from '../setup/mutations.js'

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
      expect(error.message, name).toMatch(/Expected .* (but|and) received /)
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
  expect(refused.size).toBeGreaterThan(400)
  const start = `${path.join(folder, 'run.json')}: Expected `
  for (const message of refused.values()) expect(message.startsWith(start), message).toBe(true)
  expect(refused.get('description.photographs.cache = null')).toBe(
    `${start}the path of a file for description.photographs.cache but received null`,
  )
})
