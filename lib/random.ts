import { type Check, finite, integer, isObject, seed as seedCheck, unexpected } from './options.js'

/** Four unsigned 32-bit words. */
export type Words = [number, number, number, number]

const unit = 2 ** -32

// The upper half of a 64-bit product. A double holds 53 bits, so it goes by halves of 16 bits.
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = aLow * bHigh + (middle & 0xffff)
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) >>> 0
}

/**
 * Philox4x32-10 (Salmon et al. 2011): a pure function from a counter of four words and a key of two words to four
 * random words, equal on every machine.
 */
export function philox(counter: Readonly<Words>, key0: number, key1: number): Words {
  let [c0, c1, c2, c3] = counter
  let k0 = key0
  let k1 = key1
  for (let round = 0; round < 10; round++) {
    const high0 = upperProduct(0xd2511f53, c0)
    const high1 = upperProduct(0xcd9e8d57, c2)
    const low0 = Math.imul(0xd2511f53, c0)
    const low1 = Math.imul(0xcd9e8d57, c2)
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1 >>> 0
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0 >>> 0
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [c0, c1, c2, c3]
}

// Box-Muller; first is taken from (0, 1], so that the logarithm is finite.
function normalPair(first: number, second: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log((first + 1) * unit))
  const angle = 2 * Math.PI * second * unit
  return [radius * Math.cos(angle), radius * Math.sin(angle)]
}

/**
 * Fills `values` with normal numbers, element i depending on (seed, i) only.
 * @param seed an integer from 0 to 2^53 - 1
 */
export function fillNormal(values: Float32Array, seed: number, mean: number, standardDeviation: number): void {
  const count = values.length
  const low = seed >>> 0
  const high = Math.floor(seed * unit)
  for (let start = 0; start < count; start += 4) {
    const block = start / 4
    const [a, b, c, d] = philox([block >>> 0, Math.floor(block * unit), 0, 0], low, high)
    const four = [...normalPair(a, b), ...normalPair(c, d)]
    // four is longer than what is left in the last block
    for (let i = 0; i < 4 && start + i < count; i++) values[start + i] = mean + standardDeviation * (four[i] ?? 0)
  }
}

/** State of a `Random`: plain data, which can be stored as JSON. */
export interface RandomState {
  /** Four integers from 0 to 2^32 - 1, not all 0. */
  readonly words: readonly number[]
}

/** Check of a {@link RandomState}. */
export const randomStateCheck: Check<RandomState> = (value, name) => {
  const words: unknown = isObject(value) ? value.words : undefined
  if (!Array.isArray(words) || words.length !== 4) throw unexpected('{ words } with four integers', name, value)
  const checked = words.map((word, index) => integer(0, 0xffffffff)(word, `${name}.words[${index}]`))
  if (checked.every((word) => word === 0)) throw unexpected('four integers, not all of them 0', `${name}.words`, words)
  return { words: checked }
}

/**
 * Seeded random number generator (xoshiro128**) for shuffles, crops and shifts. Equal seeds give equal numbers on every
 * machine. Its `state` is plain data and is saved in checkpoints.
 */
export class Random {
  #words: Words

  /** @param seed an integer from 0 to 2^53 - 1 */
  constructor(seed: number) {
    seedCheck(seed, 'seed')
    // the counter's last word keeps these words apart from those of fillNormal
    this.#words = philox([0, 0, 0, 1], seed >>> 0, Math.floor(seed * unit))
  }

  /**
   * Returns an independent generator for each cell of a table: a function of (seed, row, column) alone. A loader uses
   * that of (seed, e, i) for image i of epoch e.
   *
   * @param row an integer from 0 to 2^53 - 1
   * @param column an integer from 0 to 2^32 - 1
   */
  static at(seed: number, row: number, column: number): Random {
    const random = new Random(seed)
    integer(0)(row, 'row')
    integer(0, 2 ** 32 - 1)(column, 'column')
    // the last word, 2, keeps these words apart from those of the constructor and of fillNormal
    const counter: Words = [column, row >>> 0, Math.floor(row * unit), 2]
    random.#words = philox(counter, seed >>> 0, Math.floor(seed * unit))
    return random
  }

  /** Returns a generator that continues from `state`. @throws INVALID_ARGUMENT */
  static restore(state: RandomState): Random {
    const random = new Random(0)
    random.#words = [...randomStateCheck(state, 'state').words] as Words
    return random
  }

  /** Current state, for `restore`. */
  get state(): RandomState {
    return { words: [...this.#words] }
  }

  /** Returns the next 32 bits: an integer from 0 to 2^32 - 1. */
  next(): number {
    const words = this.#words
    const product = Math.imul(words[1], 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = words[1] << 9
    words[2] ^= words[0]
    words[3] ^= words[1]
    words[1] = (words[1] ^ words[2]) >>> 0
    words[0] = (words[0] ^ words[3]) >>> 0
    words[2] = (words[2] ^ shifted) >>> 0
    words[3] = ((words[3] << 11) | (words[3] >>> 21)) >>> 0
    return result
  }

  /** Returns a uniform number from `low` to below `high`, two finite numbers, with 32 random bits. */
  uniform(low = 0, high = 1): number {
    finite(low, 'low')
    finite(high, 'high')
    return low + (high - low) * (this.next() * unit)
  }

  /** Returns a uniform integer from 0 to `limit` - 1. @param limit an integer from 1 to 2^32 */
  integer(limit: number): number {
    integer(1, 2 ** 32)(limit, 'limit')
    const fair = 2 ** 32 - (2 ** 32 % limit)
    let value = this.next()
    while (value >= fair) value = this.next()
    return value % limit
  }

  /** Returns a normal number of mean 0 and standard deviation 1. */
  normal(): number {
    return normalPair(this.next(), this.next())[0]
  }

  /** Shuffles an array (Fisher-Yates) and returns the same array. */
  shuffle<A extends unknown[] | Int32Array | Uint32Array>(array: A): A {
    const elements: { [index: number]: unknown } = array
    for (let last = array.length - 1; last > 0; last--) {
      const other = this.integer(last + 1)
      const kept = elements[last]
      elements[last] = elements[other]
      elements[other] = kept
    }
    return array
  }

  /** Returns the integers from 0 to `count` - 1 in random order. */
  permutation(count: number): Int32Array {
    return this.shuffle(Int32Array.from({ length: integer(0, 2 ** 31 - 1)(count, 'count') }, (_, index) => index))
  }
}
