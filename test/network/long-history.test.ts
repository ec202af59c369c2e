// Checkpoints of trainings of very many epochs can be read.
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decode } from '../../lib/checkpoint/safetensors.js'
import { loadTraining, train, type VGG } from '../../lib/index.js'
import { mostEpochs, type PastEpoch, withinLimits } from '../../lib/train/past-epochs.js'
import { decodeState, encodeState, stateCheck, type TrainingState } from '../../lib/train/training-state.js'
import { newFolder } from '../setup/folder.js'
import { sealed } from '../setup/model-file.js'
import { smallNet, stripes } from '../setup/stripes.js'

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-long-'))
let net: VGG
let file = ''
let state: TrainingState
const [data, validation] = [stripes(16, 1), stripes(8, 2)]
const options = { validation, batch: 8, learningRate: 0.01 } as const

beforeAll(async () => {
  net = await smallNet({ threads: 1, width: 0.02, headWidth: 4 })
  const { checkpoint = '' } = await train(net, data, { ...options, epochs: 1, checkpoint: { folder } })
  file = checkpoint
  const loaded = await loadTraining(file)
  loaded.net.dispose()
  state = loaded.state
})
afterAll(() => {
  net.dispose()
  rmSync(folder, { recursive: true })
})

/** A history of so many epochs, each like the one that was trained. */
const historyOf = (epochs: number, more: (epoch: number) => Partial<PastEpoch> = () => ({})): PastEpoch[] =>
  Array.from({ length: epochs }, (_, index) => ({
    ...(state.history[0] as PastEpoch),
    epoch: index + 1,
    ...more(index),
  }))

test('as many epochs as a training may have: a checkpoint can be written, read, and continued', async () => {
  const history = withinLimits(historyOf(mostEpochs - 1))
  const long = { ...state, step: 2 * (mostEpochs - 1), epochsDone: mostEpochs - 1, history }
  const encoded = encodeState(stateCheck(long, 'resume'))
  const { tensors, metadata } = decode(await readFile(file))
  const tables = [...encoded.tables].map(([name, table]) => ({
    name: `table/${name}`,
    dtype: 'I32' as const,
    ...table,
  }))
  const parameters = tensors.filter(({ name }) => !name.startsWith('table/'))
  const copy = path.join(newFolder(), 'step-1.safetensors')
  await writeFile(copy, await sealed([...parameters, ...tables], { ...metadata, training: encoded.state }))
  const read = await loadTraining(copy)
  expect(encodeState(read.state)).toEqual(encoded)
  const resumed = {
    ...options,
    epochs: mostEpochs,
    resume: { ...read.state, trainingStep: 2 },
    differences: 'accept',
  } as const
  const { history: all, ...report } = await train(read.net, data, { ...resumed, checkpoint: { folder: newFolder() } })
  expect(all).toHaveLength(mostEpochs)
  const last = await loadTraining(report.checkpoint ?? '')
  for (const { net } of [read, last]) net.dispose()
  expect(last.state.history).toHaveLength(mostEpochs)
  expect(last.state.history.at(-1)?.validation?.perClass.reduce((sum, { count }) => sum + count, 0)).toBe(8)
  expect(last.state.history[0]?.validation).toMatchObject({ count: 8, perClass: [], confusion: [] })
})

test('more epochs than that are refused before the first step', async () => {
  await expect(train(net, data, { ...options, epochs: mostEpochs + 1 })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: `Expected an integer from 1 to ${mostEpochs} for epochs but received ${mostEpochs + 1} (number)`,
  })
})

describe('beyond the limits of all epochs', () => {
  const roundTrip = (history: readonly PastEpoch[]): readonly PastEpoch[] => {
    const { state: text, tables } = encodeState({ ...state, history })
    const read = decodeState(text, tables).history
    expect(encodeState({ ...state, history: read })).toEqual({ state: text, tables })
    return read
  }

  test('the oldest confusion matrices are left out, and the figures kept', () => {
    const history = historyOf(4096 + 3)
    const kept = roundTrip(withinLimits(history))
    const left = kept.filter(({ validation }) => validation?.perClass.length === 0).map(({ epoch }) => epoch)
    expect(left).toEqual([1, 2, 3])
    const { count, loss, top1, top5 } = history[0]?.validation ?? {}
    expect(kept[0]?.validation).toEqual({ count, loss, top1, top5, unreadable: [], perClass: [], confusion: [] })
    expect(kept[3]).toEqual(history[3])
  })

  const reason = 'x'.repeat(2 ** 10 - 1)
  const skipped = Array.from({ length: 64 }, () => ({ name: 'n', reason }))
  const unreadable = skipped.map((image, index) => ({ ...image, index, position: 0 }))

  test('the oldest unreadable images are counted only', () => {
    const validation = Object.assign(withUnreadable(), { unreadable })
    const history = historyOf(10, () => ({ skipped, skippedCount: 64, validation }))
    const kept = roundTrip(withinLimits(history))
    expect(kept.map((epoch) => epoch.skipped.length)).toEqual([0, 0, 64, 64, 64, 64, 64, 64, 64, 64])
    expect(kept[1]).toMatchObject({ skippedCount: 64, validation: { unreadable: [] } })
    expect(kept[1]?.validation?.confusion).toEqual(history[1]?.validation?.confusion)
    expect(kept[2]).toEqual(history[2])
  })

  test('and of one epoch with more of them than may be named, none', () => {
    const many = Array.from({ length: 2 ** 14 + 1 }, (_, index) => ({ name: '', reason: '', index, position: 0 }))
    const [epoch] = withinLimits(
      historyOf(1, () => ({ validation: Object.assign(withUnreadable(), { unreadable: many }) })),
    )
    expect(epoch?.validation?.unreadable).toEqual([])
    expect(epoch?.validation?.perClass).toHaveLength(state.history[0]?.validation?.perClass.length ?? 0)
  })
})

/** Metrics with the same confusion matrix that a test may change. */
function withUnreadable() {
  const { tables, state: text } = encodeState(state)
  const { validation } = decodeState(text, tables).history[0] ?? {}
  if (validation === undefined) throw new Error('there is no validation')
  return validation
}

test('a checkpoint of an older version, whose epochs are objects, is read', async () => {
  const { state: text, tables } = encodeState(state)
  const { perClass: _, confusion: __, ...figures } = state.history[0]?.validation ?? ({} as never)
  const history = state.history.map((epoch) => ({ ...epoch, validation: figures }))
  expect(decodeState(JSON.stringify({ ...JSON.parse(text), history }), tables)).toEqual(state)
})
