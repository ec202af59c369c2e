import { describe, expect, it } from 'vitest'
import { VggError } from '../../lib/error.js'
import {
  arrayOf,
  fraction,
  integer,
  likelyMeant,
  oneOf,
  optional,
  positive,
  readOptions,
  seed,
  shown,
  withDefault,
} from '../../lib/options.js'

const checks = { seed: withDefault(seed, 0), threads: optional(integer(1, 8)) }

describe('options', () => {
  it('reads what is there, and fills in defaults', () => {
    expect(readOptions({ seed: 3 }, 'options', checks)).toEqual({ seed: 3, threads: undefined })
    expect(readOptions(undefined, 'options', checks)).toEqual({ seed: 0, threads: undefined })
    expect(readOptions({ seed: undefined }, 'options', checks).seed).toBe(0)
  })

  it('refuses an unknown option, and names the one that was likely meant', () => {
    expect(() => readOptions({ sed: 1 }, 'VGG.create options', checks)).toThrow(
      "Expected one of seed, threads for VGG.create options but received 'sed'; did you mean 'seed'?",
    )
    expect(() => readOptions({ colour: 1 }, 'options', checks)).toThrow(/received 'colour'$/)
  })

  it('refuses what is no object', () => {
    for (const wrong of [null, 3, 'x', [1], new Float32Array(2), () => 1]) {
      expect(() => readOptions(wrong, 'options', checks)).toThrow(/Expected an object for options but received/)
    }
  })

  it('says what was expected for which name, and what came', () => {
    expect(() => positive(-1, 'learningRate')).toThrow(
      'Expected a number above 0 for learningRate but received -1 (number)',
    )
    for (const wrong of [0, Number.NaN, Number.POSITIVE_INFINITY, '1', null, undefined, 1n]) {
      expect(() => positive(wrong, 'x')).toThrow(VggError)
    }
    for (const wrong of [1.5, 0, 9, 2 ** 53]) expect(() => integer(1, 8)(wrong, 'x')).toThrow(/an integer from 1 to 8/)
    for (const wrong of [1, -0.1, Number.NaN]) expect(() => fraction(wrong, 'x')).toThrow(/from 0 to below 1/)
    expect(() => arrayOf(positive)([1, 0], 'rates')).toThrow(/for rates\[1\] but received 0 \(number\)/)
    expect(() => oneOf('cpu', 'cuda')('cpuu', 'device')).toThrow(/did you mean 'cpu'\?/)
    expect(() => oneOf('cpu', 'cuda')(1, 'device')).toThrow(/one of cpu, cuda for device but received 1/)
  })

  it('carries the code INVALID_ARGUMENT', () => {
    expect(() => positive(0, 'x')).toThrow(expect.objectContaining({ name: 'VggError', code: 'INVALID_ARGUMENT' }))
  })

  it('shows any value, and a long one in short', () => {
    expect(shown([1, 2])).toBe('[1, 2] (array)')
    expect(shown(new Float32Array(3))).toBe('Float32Array(3)')
    expect(shown(Object.create(null))).toBe('Object (object)')
    expect(shown(Object.defineProperty(() => 1, 'name', { value: Symbol('a') }))).toBe('anonymous (function)')
    expect(shown([Object.create(null), Symbol('a')])).toBe('[{}, Symbol(a)] (array)')
    expect(shown('x'.repeat(1000)).length).toBeLessThan(100)
    expect(shown(10n)).toBe('10 (bigint)')
  })

  it('finds a misspelling by letters left out, added, changed, swapped, or of another case', () => {
    const names = ['learningRate', 'momentum', 'weightDecay']
    for (const misspelt of ['learningrate', 'learnigRate', 'learningRatee', 'laerningRate', 'learning_rate']) {
      expect(likelyMeant(misspelt, names)).toBe('learningRate')
    }
    expect(likelyMeant('nesterov', names)).toBeUndefined()
    expect(likelyMeant('l', names)).toBeUndefined()
    expect(likelyMeant('F', ['A', 'B'])).toBeUndefined()
    expect(likelyMeant('b', ['A', 'B'])).toBe('B')
  })

  it.each([
    ['lr', 'learningRate'],
    ['decay', 'weightDecay'],
    ['weight_decay', 'weightDecay'],
    ['num_classes', 'classes'],
    ['batchSize', 'batch'],
    ['conv1_1', 'conv1_1.weight'],
  ])('finds what %s stands for elsewhere: %s', (given, meant) => {
    expect(likelyMeant(given, ['batch', 'classes', 'learningRate', 'weightDecay', 'conv1_1.weight'])).toBe(meant)
  })

  it('asks to await a promise, whatever was expected', () => {
    const promise = Promise.resolve(1)
    expect(() => positive(promise, 'x')).toThrow(
      'Expected a number above 0 for x but received Promise (object); await it first',
    )
    expect(() => readOptions(promise, 'options', checks)).toThrow(/Expected an object .* await it first$/)
  })

  it('asks for a number without quotes', () => {
    expect(() => positive('0.5', 'x')).toThrow(/received '0.5' \(string\); write the number 0.5 without quotes$/)
    for (const wrong of ['-1', '', ' ', 'x']) expect(() => positive(wrong, 'x')).toThrow(/\(string\)$/)
  })
})
