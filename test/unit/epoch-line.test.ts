import { describe, expect, test } from 'vitest'
import type { EpochEvent } from '../../lib/train/events.js'
import { epochLine } from '../../lib/train/log.js'

const event: EpochEvent = {
  epoch: 3,
  epochs: 74,
  steps: 12,
  learningRate: 1e-4,
  loss: 0.5,
  accuracy: 0.75,
  validation: {
    count: 4,
    loss: 1,
    top1: 0.5,
    top5: 1,
    perClass: Array.from({ length: 6 }, (_, index) => ({ name: String(index), count: 0, correct: 0, accuracy: 0 })),
    confusion: [],
    unreadable: [],
  },
  skipped: [],
  skippedCount: 0,
  refused: 0,
  imagesPerSecond: 99.6,
  seconds: 125,
}

test('the line of an epoch', () => {
  expect(epochLine(event)).toBe(
    'epoch  3/74  rate 1e-4     loss 0.5000  training  75.00 %  validation  50.00 %  top-5 100.00 %  100 images/s  2 min 05 s',
  )
  expect(epochLine({ ...event, validation: undefined })).not.toContain('validation')
})

test.each([
  { skippedCount: 1, refused: 0, end: '2 min 05 s  1 file skipped' },
  { skippedCount: 120, refused: 0, end: '2 min 05 s  120 files skipped' },
  { skippedCount: 0, refused: 1, end: '2 min 05 s  1 step refused' },
  { skippedCount: 2, refused: 2, end: '2 min 05 s  2 files skipped  2 steps refused' },
])('files skipped ($skippedCount) and steps refused ($refused) end it', ({ end, ...counts }) => {
  expect(epochLine({ ...event, ...counts })).toMatch(new RegExp(`${end}$`))
})

describe('on a terminal', () => {
  const five = { ...event.validation, perClass: event.validation?.perClass.slice(1) } as EpochEvent['validation']

  test.each([
    [
      110,
      event,
      'epoch  3/74  rate 1e-4     loss 0.5000  train  75.00 %  val  50.00 %  top-5 100.00 %  100 images/s  2 min 05 s',
    ],
    [80, event, 'epoch  3/74  loss 0.5000  train  75.00 %  val  50.00 %  top-5 100.00 %'],
    [
      80,
      { ...event, validation: five },
      'epoch  3/74  rate 1e-4     loss 0.5000  train  75.00 %  val  50.00 %  2 min 05 s',
    ],
    [80, { ...event, refused: 2 }, 'epoch  3/74  loss 0.5000  train  75.00 %  val  50.00 %  2 steps refused'],
    [40, event, 'epoch  3/74  loss 0.5000  val  50.00 %'],
    [30, event, 'epoch  3/74  loss 0.5000'],
  ])('of %d columns the less important parts are left out', (width, one, line) => {
    expect(epochLine(one, width)).toBe(line)
    expect(line.length).toBeLessThanOrEqual(width)
  })

  test.each([80, 40])('of %d columns no line wraps, whatever the numbers', (width) => {
    const long = { ...event, epoch: 123456, epochs: 123456, learningRate: 1.25e-7, loss: 123456.789, seconds: 35999 }
    expect(epochLine({ ...long, skippedCount: 12345, refused: 12345 }, width).length).toBeLessThanOrEqual(width)
  })
})
