import { describe, expect, it } from 'vitest'
import { fillNormal, philox, Random, type Words } from '../../lib/random.js'

// Random123's own known answers for philox4x32-10
const known: [Words, number, number, Words][] = [
  [[0, 0, 0, 0], 0, 0, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    0xffffffff,
    0xffffffff,
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    0xa4093822,
    0x299f31d0,
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
]

describe('philox', () => {
  it.each(known)('gives the known answer for %j', (counter, key0, key1, answer) => {
    expect(philox(counter, key0, key1)).toEqual(answer)
  })
})

describe('fillNormal', () => {
  it('gives element i whatever the length, and other numbers for another seed', () => {
    const [long, short, other] = [new Float32Array(103), new Float32Array(5), new Float32Array(5)]
    fillNormal(long, 7, 0, 1)
    fillNormal(short, 7, 0, 1)
    fillNormal(other, 7 + 2 ** 32, 0, 1)
    expect(long.slice(0, 5)).toEqual(short)
    expect(other).not.toEqual(short)
  })

  it('is normal: mean, deviation, and the share beyond two deviations', () => {
    const values = new Float32Array(200_000)
    fillNormal(values, 1, 3, 2)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
    const beyond = values.filter((value) => Math.abs(value - 3) > 4).length / values.length
    expect(Math.abs(mean - 3)).toBeLessThan(0.02)
    expect(Math.abs(Math.sqrt(variance) - 2)).toBeLessThan(0.02)
    expect(Math.abs(beyond - 0.0455)).toBeLessThan(0.002)
    expect(values.every(Number.isFinite)).toBe(true)
  })
})

describe('Random', () => {
  it('is xoshiro128** (known answer of the state 1, 2, 3, 4)', () => {
    const random = Random.restore({ words: [1, 2, 3, 4] })
    const expected = [
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]
    expect(expected.map(() => random.next())).toEqual(expected)
  })

  it('goes on from its state, through JSON', () => {
    const random = new Random(5)
    random.shuffle([1, 2, 3])
    const copy = Random.restore(JSON.parse(JSON.stringify(random.state)))
    expect(copy.permutation(50)).toEqual(random.permutation(50))
    expect(copy.normal()).toBe(random.normal())
  })

  it('gives equal numbers for equal seeds and others for others', () => {
    const first = (seed: number) =>
      Array.from(
        { length: 4 },
        (
          (random) => () =>
            random.next()
        )(new Random(seed)),
      )
    expect(first(1)).toEqual(first(1))
    expect(first(1)).not.toEqual(first(2))
    expect(first(2 ** 53 - 1)).not.toEqual(first(2 ** 21 - 1))
  })

  it('makes one for each position of a table: a function of seed, row and column alone', () => {
    const words = (seed: number, row: number, column: number) => Random.at(seed, row, column).state.words
    const low = 2 ** 32 - 1
    // counter (column, row, row's upper half, 2), key (seed, seed's upper half)
    expect(words(2 ** 32 + 7, 2 ** 33 + 5, low)).toEqual(philox([low, 5, 2, 2], 7, 1))
    const positions = [0, 1, 2, 2 ** 32, 2 ** 53 - 1].flatMap((row) => [0, 1, 2, low].map((column) => [row, column]))
    const all = [0, 1, 2 ** 32].flatMap((seed) => positions.map(([row, column]) => words(seed, row, column).join()))
    expect(new Set([...all, new Random(0).state.words.join()]).size).toBe(all.length + 1)
    expect(() => Random.at(0, -1, 0)).toThrow(/for row/)
    expect(() => Random.at(0, 0, 2 ** 32)).toThrow(/for column/)
    expect(() => Random.at(-1, 0, 0)).toThrow(/for seed/)
  })

  it('draws numbers without a trend from neighbouring positions', () => {
    const firsts = Array.from({ length: 20_000 }, (_, index) => Random.at(1, index >> 7, index & 127).uniform())
    const mean = firsts.reduce((sum, value) => sum + value, 0) / firsts.length
    const paired = firsts.slice(1).reduce((sum, value, index) => sum + (value - 0.5) * (firsts[index] - 0.5), 0)
    // standard errors: 0.289 / sqrt(20000) = 0.002, and 1 / sqrt(20000) = 0.007 of the correlation
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01)
    expect(Math.abs((paired / firsts.length) * 12)).toBeLessThan(0.035)
  })

  it('shuffles to each order equally often', () => {
    const counts = new Map<string, number>()
    const random = new Random(3)
    for (let i = 0; i < 24_000; i++) {
      const order = random.shuffle([0, 1, 2, 3]).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    // five standard deviations of a binomial distribution of mean 1000
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(155)
  })

  it('gives integers of a large range without favour', () => {
    const random = new Random(4)
    // the remainder of 32 bits alone would fall into the lower third half of the time
    let low = 0
    for (let i = 0; i < 3000; i++) low += random.integer(3 * 2 ** 30) < 2 ** 30 ? 1 : 0
    expect(Math.abs(low - 1000)).toBeLessThan(130)
  })

  it('keeps integers and uniform numbers in their range', () => {
    const random = new Random(1)
    for (let i = 0; i < 1000; i++) {
      expect([0, 1, 2]).toContain(random.integer(3))
      const value = random.uniform(-2, -1)
      expect(value >= -2 && value < -1).toBe(true)
    }
    expect(random.integer(1)).toBe(0)
    expect(random.permutation(0)).toHaveLength(0)
  })

  it('refuses a seed, a limit or a state that is none', () => {
    for (const wrong of [-1, 1.5, 2 ** 53, Number.NaN]) expect(() => new Random(wrong)).toThrow(/for seed but received/)
    expect(() => new Random(1).integer(0)).toThrow(/for limit/)
    const states = [{}, { words: [1, 2, 3] }, { words: [0, 0, 0, 0] }, { words: [1, 2, 3, 2 ** 32] }, null, 'x']
    for (const wrong of states) expect(() => Random.restore(wrong as never)).toThrow(/Expected .* for state/)
  })
})
