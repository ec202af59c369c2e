import { spawnSync } from 'node:child_process'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { crc32c, TensorBoardLog, type TensorBoardOptions } from '../../lib/report/tensorboard.js'
import type { EpochEvent, StepEvent } from '../../lib/train/events.js'
import { eventsOf, type Field, plainCrc, scalarsOf } from '../setup/event-file.js'
import { newFolder } from '../setup/folder.js'

const stepEvent = (step: number, loss = 1 / step): StepEvent => ({
  step,
  steps: 2 ** 40,
  epoch: 1,
  epochs: 2,
  loss,
  images: 10,
  correct: 5,
  learningRate: 0.01,
  indices: new Int32Array(10),
  imagesPerSecond: 100,
  secondsLeft: 5,
})

const epochEvent = (epoch: number, validation: boolean): EpochEvent => ({
  epoch,
  epochs: 2,
  steps: 4 * epoch,
  learningRate: 0.01 / epoch,
  loss: 0.5 / epoch,
  accuracy: 0.25 * epoch,
  validation: validation
    ? {
        count: 8,
        loss: 0.125 * epoch,
        top1: 0.375 * epoch,
        top5: 0.5 * epoch,
        perClass: [],
        confusion: [],
        unreadable: [],
      }
    : undefined,
  skipped: [],
  skippedCount: 3 * (epoch - 1),
  refused: 0,
  imagesPerSecond: 128 * epoch,
  seconds: 3,
})

async function written(folder: string, options: TensorBoardOptions, write: (log: TensorBoardLog) => void) {
  const log = await TensorBoardLog.open(folder, options)
  write(log)
  log.close()
  return log.path
}

describe('crc32c', () => {
  // the check value of the CRC catalogue, and those of RFC 3720, B.4
  test.each([
    ['123456789', Buffer.from('123456789'), 0xe3069283],
    ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 times 255', Buffer.alloc(32, 255), 0x62a8ab43],
    ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
    ['nothing', Buffer.alloc(0), 0],
  ])('%s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected)
    expect(plainCrc(bytes)).toBe(expected)
  })
})

describe('TensorBoardLog', () => {
  test('writes the scalars of steps and epochs', async () => {
    const start = Date.now() / 1000
    const file = await written(newFolder(), { everySteps: 2 }, (log) => {
      for (let step = 1; step <= 4; step++) log.step(stepEvent(step))
      log.epoch(epochEvent(1, true))
      log.epoch(epochEvent(2, false))
    })
    expect(path.basename(file)).toMatch(/^events\.out\.tfevents\.\d{10}\.[\w-]+\.\d+$/)
    const [version, begin, ...events] = eventsOf(file)
    expect(version).toEqual([
      [1, expect.any(Number)],
      [2, 0n],
      [3, Buffer.from('brain.Event:2')],
    ])
    // SessionLog { status: START }
    expect(begin?.slice(1)).toEqual([
      [2, 0n],
      [7, Buffer.from([8, 1])],
    ])
    for (const [[field, wallTime], [stepField], [summaryField]] of events as [Field, Field, Field][]) {
      expect([field, stepField, summaryField]).toEqual([1, 2, 5])
      expect(Math.abs(Number(wallTime) - start)).toBeLessThan(60)
    }
    expect(events.map((event) => [event[1]?.[1], scalarsOf(event)])).toEqual([
      [1n, { 'loss/step': 1 }],
      [2n, { 'loss/step': 0.5 }],
      [4n, { 'loss/step': 0.25 }],
      [
        4n,
        {
          'loss/training': 0.5,
          'loss/validation': 0.125,
          'accuracy/training': 0.25,
          'accuracy/top-1': 0.375,
          'accuracy/top-5': 0.5,
          'rate/learning_rate': Math.fround(0.01),
          'speed/images_per_second': 128,
          'skipped/files': 0,
        },
      ],
      [
        8n,
        {
          'loss/training': 0.25,
          'accuracy/training': 0.5,
          'rate/learning_rate': Math.fround(0.005),
          'speed/images_per_second': 256,
          'skipped/files': 3,
        },
      ],
    ])
  })

  test('steps beyond 2^32, and a loss that is not finite', async () => {
    const file = await written(newFolder(), { everySteps: 1 }, (log) => {
      log.step(stepEvent(2 ** 40 + 3, Number.NaN))
      log.step(stepEvent(Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY))
    })
    const [, , ...events] = eventsOf(file)
    expect(events.map((event) => event[1]?.[1])).toEqual([2n ** 40n + 3n, 2n ** 53n - 1n])
    expect(events.map(scalarsOf)).toEqual([{ 'loss/step': Number.NaN }, { 'loss/step': Number.POSITIVE_INFINITY }])
  })

  test('each start writes a new file, which sorts after earlier ones and has the step of the resumption', async () => {
    const folder = newFolder()
    const files: string[] = []
    for (const options of [{}, { fromStep: 5 }, { fromStep: 300 }]) {
      files.push(await written(folder, options, (log) => log.step(stepEvent(10))))
    }
    expect(readdirSync(folder).sort()).toEqual(files.map((file) => path.basename(file)))
    const restarts = files.map((file) => eventsOf(file).filter((event) => event[2]?.[0] === 7))
    expect(restarts.map((events) => events.map((event) => [event[1]?.[1], event[2]?.[1]]))).toEqual([
      [[0n, Buffer.from([8, 1])]],
      [[6n, Buffer.from([8, 1])]],
      [[301n, Buffer.from([8, 1])]],
    ])
  })

  test('repeated steps replace the earlier ones', async () => {
    const file = await written(newFolder(), { everySteps: 3 }, (log) => {
      for (const step of [1, 2, 3, 4, 3, 4, 5, 6]) log.step(stepEvent(step))
    })
    const [, , ...events] = eventsOf(file)
    expect(
      events.map((event) => [event[1]?.[1], event[2]?.[0] === 7 ? 'start' : scalarsOf(event)['loss/step']]),
    ).toEqual([
      [1n, 1],
      [3n, Math.fround(1 / 3)],
      [3n, 'start'],
      [3n, Math.fround(1 / 3)],
      [6n, Math.fround(1 / 6)],
    ])
  })

  test('rejects misspelt options and a missing folder', async () => {
    await expect(TensorBoardLog.open('x', { every: 1 } as object)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    const missing = path.join(newFolder(), 'missing')
    await expect(TensorBoardLog.open(missing)).rejects.toMatchObject({ code: 'FILE_WRITE' })
    const log = await TensorBoardLog.open(newFolder())
    log.close()
    expect(() => log.step(stepEvent(1))).toThrow(/was closed/)
    await expect(log.sync()).rejects.toThrow(/was closed/)
  })
})

/** A Python that has tensorboard, or undefined. */
function tensorBoardPython(): string | undefined {
  const candidates = [process.env.VGGNET_TENSORBOARD_PYTHON, 'python3']
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import tensorboard']).status === 0)
}

const readWithTensorBoard = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PluginAccumulator
from tensorboard.util import tensor_util
old = EventAccumulator(sys.argv[1]); old.Reload()
new = PluginAccumulator(sys.argv[1]); new.Reload()
json.dump({
  'version': old.file_version,
  'scalars': {tag: [[e.step, e.value] for e in old.Scalars(tag)] for tag in old.Tags()['scalars']},
  'tensors': {tag: [[e.step, float(tensor_util.make_ndarray(e.tensor_proto))] for e in new.Tensors(tag)] for tag in new.Tags()['tensors']},
  'plugin': sorted(new.PluginTagToContent('scalars')),
  'times': [e.wall_time for e in old.Scalars('loss/step')],
}, sys.stdout)`

const python = tensorBoardPython()

describe("TensorBoard's own reader", () => {
  test.skipIf(python === undefined)(
    'reads a training that was killed in a record and went on from step 3',
    async () => {
      const folder = newFolder()
      const first = await written(folder, { everySteps: 1 }, (log) => {
        for (let step = 1; step <= 6; step++) log.step(stepEvent(step, 0.5 * step))
        log.epoch(epochEvent(1, true))
      })
      appendFileSync(first, readFileSync(first).subarray(0, 30))
      await written(folder, { everySteps: 1, fromStep: 3 }, (log) => {
        for (let step = 4; step <= 5; step++) log.step(stepEvent(step, 100 * step))
        log.epoch(epochEvent(1, true))
      })
      const { status, stdout, stderr } = spawnSync(python ?? '', ['-c', readWithTensorBoard, folder], {
        encoding: 'utf8',
      })
      expect(status, stderr).toBe(0)
      const scalars = {
        // 4 to 6 of the first file are void
        'loss/step': [
          [1, 0.5],
          [2, 1],
          [3, 1.5],
          [4, 400],
          [5, 500],
        ],
        'loss/training': [[4, 0.5]],
        'loss/validation': [[4, 0.125]],
        'accuracy/training': [[4, 0.25]],
        'accuracy/top-1': [[4, 0.375]],
        'accuracy/top-5': [[4, 0.5]],
        'rate/learning_rate': [[4, Math.fround(0.01)]],
        'skipped/files': [[4, 0]],
        'speed/images_per_second': [[4, 128]],
      }
      const read = JSON.parse(stdout)
      expect(read).toMatchObject({ version: 2, scalars, tensors: scalars, plugin: Object.keys(scalars).sort() })
      for (const time of read.times) expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(60)
    },
  )
})
