import { describe, expect, test } from 'vitest'
import { chanceOf, chanceText } from '../../lib/train/chance.js'
import type { EpochEvent } from '../../lib/train/events.js'
import { checkBatch, chosenText, sizedOptions } from '../../lib/train/sized-options.js'

const plateau = (patience: number) => ({ kind: 'plateau', patience, drops: 3, divisor: 10 })

describe('defaults by the number of training images', () => {
  test.each([
    [1_281_167, { batch: 256, epochs: 74, schedule: plateau(3) }],
    [17_000, { batch: 256, epochs: 74, schedule: plateau(3) }],
    [5000, { batch: 256, epochs: 100, schedule: plateau(10) }],
    [1000, { batch: 64, epochs: 125, schedule: plateau(13) }],
    [181, { batch: 32, epochs: 334, schedule: plateau(34) }],
    [20, { batch: 20, epochs: 2000, schedule: plateau(200) }],
    [1, { batch: 1, epochs: 2000, schedule: plateau(200) }],
  ])('%i images', (images, expected) => {
    expect(sizedOptions({}, images, true)).toEqual(expected)
  })

  test('a given batch decides the others; given values are used as given, and only chosen ones are named', () => {
    expect(sizedOptions({ batch: 4 }, 181, false)).toEqual({ batch: 4, epochs: 74, schedule: { kind: 'constant' } })
    const given = { batch: 181, epochs: 5, schedule: { kind: 'plateau', patience: 2, drops: 1, divisor: 3 } } as const
    expect(sizedOptions(given, 181, true)).toEqual(given)
    expect(chosenText(given, 181, true)).toBeUndefined()
    const text = 'batch 32, 334 epochs, patience 34: chosen for 181 training images'
    expect(chosenText({}, 181, true)).toBe(text)
    expect(chosenText({ ...given, epochs: undefined }, 181, true)).toBe('2000 epochs: chosen for 181 training images')
    expect(chosenText({ batch: 32 }, 181, false)).toBe('334 epochs: chosen for 181 training images')
  })

  test('a batch of more images than there are is refused with both numbers', () => {
    checkBatch(181, 181)
    expect(() => checkBatch(256, 181)).toThrow(
      'Expected at most the 181 training images for batch (--batch) but received 256; leave it out, which makes it 32, or write 181 for one step in an epoch',
    )
  })
})

describe('chance', () => {
  test('is the upper tail of the binomial distribution', () => {
    expect(chanceOf(0, 5, 0.3)).toBeCloseTo(1, 12)
    expect(chanceOf(4, 4, 0.5)).toBeCloseTo(1 / 16, 12)
    expect(chanceOf(2, 3, 0.5)).toBeCloseTo(0.5, 12)
    // R: pbinom(14, 20, 0.5, lower.tail = FALSE)
    expect(chanceOf(15, 20, 0.5)).toBeCloseTo(0.020694732666015625, 12)
    expect(chanceOf(5200, 10_000, 0.5)).toBeCloseTo(3.3e-5, 6)
  })

  /** Epochs of a training on 20 held-out images of two classes, 12 and 8, by loss and number of right ones. */
  const epochs = (...figures: [loss: number, right: number][]) =>
    figures.map(([loss, right]) => {
      const perClass = [12, 8].map((count, index) => ({ name: 'ab'[index], count }))
      return { loss, learningRate: 0.01, validation: { count: 20, top1: right / 20, perClass } }
    }) as unknown as EpochEvent[]
  const text = (history: EpochEvent[], steps = 13) => chanceText(history, { steps, images: 181, classes: 2 })

  test.each<[string, EpochEvent[], number | undefined, RegExp]>([
    ['few steps', epochs([0.7, 8], [0.69, 12]), 13, /because 13 steps are few.* from 0.700 to 0.690.* more epochs/],
    ['a stuck loss', epochs([0.7, 12], [0.69, 12]), 3000, /did not fall in 3000 steps.*such as 0.03 or 0.001/],
    [
      'a rising loss',
      epochs([0.7, 12], [0.9, 12]),
      3000,
      /loss rose from 0.700 to 0.900: .* 0.01 .* too high; try 0.001/,
    ],
    [
      'learnt images',
      epochs([0.7, 12], [0.1, 12]),
      3000,
      /although .* fell .*: 91 training images per class .* too few/,
    ],
  ])('after %s the cause and the cure are named', (_, history, steps, words) => {
    const found = text(history, steps)
    expect(found).toMatch(/no better than chance \(12 of 20 held-out images are right, 12 by always answering 'a'\)/)
    expect(found).toMatch(words)
  })

  test('is not claimed of a good last or best epoch, without validation, and where nothing can be told', () => {
    expect(text(epochs([0.7, 12], [0.1, 17]))).toBeUndefined()
    expect(text(epochs([0.7, 19], [0.8, 12]))).toBeUndefined()
    expect(text([])).toBeUndefined()
    expect(text([{ ...epochs([0.7, 12])[0], validation: undefined } as EpochEvent])).toBeUndefined()
    const few = { count: 3, top1: 1, perClass: [{ name: 'a', count: 2 }] }
    expect(text([{ ...epochs([0.7, 12])[0], validation: few } as unknown as EpochEvent])).toBeUndefined()
  })
})
