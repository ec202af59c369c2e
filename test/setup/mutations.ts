import type { Random } from '../../lib/random.js'

/** Plain data in which one value is replaced, removed or added. */
export interface Mutation {
  /** Keys from the root to the value. */
  readonly path: readonly string[]
  /** What was done: `= null`, `removed`, `added`. */
  readonly change: string
  readonly mutated: unknown
}

const replacements: readonly unknown[] = [null, true, -1, 1e308, '', 'x', [], [[null]], {}]

/** A copy of plain data in which the object of the last key is changed. */
function changed(value: object, path: readonly string[], change: (of: object, key: string) => unknown): object {
  const copy = structuredClone(value)
  let of: object = copy
  for (const key of path.slice(0, -1)) of = Reflect.get(of, key) as object
  change(of, path.at(-1) ?? '')
  return copy
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** Each value of plain data replaced by many others, and removed; and an unknown key added to each object. */
export function* mutationsOf(value: object, path: readonly string[] = [], part = value): Generator<Mutation> {
  if (!Array.isArray(part)) {
    const added = [...path, 'unknown']
    yield { path: added, change: 'added', mutated: changed(value, added, (of, key) => Reflect.set(of, key, 1)) }
  }
  for (const [key, inner] of Object.entries(part)) {
    const own = [...path, key]
    for (const other of replacements) {
      const mutated = changed(value, own, (of) => Reflect.set(of, key, other))
      yield { path: own, change: `= ${JSON.stringify(other)}`, mutated }
    }
    yield { path: own, change: 'removed', mutated: changed(value, own, Reflect.deleteProperty) }
    if (isObject(inner)) yield* mutationsOf(value, own, inner)
  }
}

/** One of the elements. */
export const pick = <T>(random: Random, among: readonly T[]): T => among[random.integer(among.length)] as T

/** Integers at the edges of the types that files have. */
const edges = [
  0,
  1,
  2,
  3,
  127,
  255,
  256,
  65535,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
]
/** Digits that stand for numbers at the edges, or for none. */
const digits = ['0', '-1', '1', '-0', '0.5', '65536', '2147483647', '2147483648', '4294967296', '9007199254740993']
digits.push('1e308', '-1e308', '1e999', 'NaN', 'Infinity', '99999999999999999999999', '00', '0x10', '')
/** Texts of JSON that are no ordinary value, also ones that are no JSON. */
const texts: readonly string[] = [
  ...digits,
  ...[
    'null',
    'true',
    '""',
    '"x"',
    '[]',
    '{}',
    '[[null]]',
    '[{}]',
    '"NaN"',
    '"\\u0000"',
    '"a\\nb"',
    '"\\ud800"',
    '"\\"',
  ],
  ...['{"__proto__":{"length":9}}', '{"constructor":1,"toString":2}', '{"then":1}', '{"length":1e9}', '"__proto__"'],
  ...[
    '"\\u001b]52;c;QQ==\\u0007"',
    '"\\u202e\\u2066"',
    '"../../../etc/passwd"',
    '1,"again":2',
    '1,"__proto__":{"a":1}',
  ],
  ...['['.repeat(2000), '[]'.padStart(20_000, '[').padEnd(39_998, ']'), `[${'{},'.repeat(20_000)}{}]`],
  ...['{"a":'.repeat(20_000), `"${'x'.repeat(100_000)}"`, `[${'0,'.repeat(50_000)}0]`],
]

/** The paths of all values in plain data, but the root. */
function pathsIn(value: unknown, path: readonly string[] = []): string[][] {
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...pathsIn(inner, [...path, key])])
}

const at = (value: unknown, path: readonly string[]): unknown =>
  path.reduce((of, key) => (isObject(of) ? Reflect.get(of, key) : undefined), value)

/** Plain data as JSON in which one to three values are replaced, removed, or written twice. */
export function mutatedJson(random: Random, value: object): string {
  const token = 'the value to replace'
  let changedValue = value
  const raw: string[] = []
  const paths = pathsIn(value)
  for (let count = 1 + random.integer(8) / 5; count >= 1 && paths.length > 0; count--) {
    const path = pick(random, paths)
    const [own, other] = [JSON.stringify(at(value, path)), JSON.stringify(at(value, pick(random, paths)))]
    if (random.integer(6) === 0) {
      changedValue =
        at(changedValue, path) === undefined ? changedValue : changed(changedValue, path, Reflect.deleteProperty)
      continue
    }
    if (!isObject(at(changedValue, path.slice(0, -1)))) continue
    raw.push(pick(random, [...texts, ...texts, other, `[${own}]`, `${own},${JSON.stringify(path.at(-1))}:${own}`]))
    const number = raw.length - 1
    changedValue = changed(changedValue, path, (of, key) => Reflect.set(of, key, `${token} ${number}`))
  }
  return JSON.stringify(changedValue).replaceAll(
    /"the value to replace (\d+)"/g,
    (_, number) => raw[Number(number)] ?? '',
  )
}

/** Writes a number at an edge over some bytes. */
function overwrite(random: Random, bytes: Buffer): void {
  const [value, length] = [pick(random, edges), pick(random, [1, 2, 4, 8])]
  if (bytes.length < length) return
  const begin = random.integer(bytes.length - length + 1)
  const number = random.integer(4) === 0 ? (1n << 64n) - 1n : BigInt(value)
  for (let index = 0; index < length; index++) {
    const position = random.integer(2) === 0 ? index : length - 1 - index
    bytes[begin + position] = Number((number >> BigInt(8 * index)) & 255n)
  }
}

const partOf = (random: Random, bytes: Buffer): Buffer => {
  const begin = random.integer(bytes.length + 1)
  return bytes.subarray(begin, begin + random.integer(1 + Math.min(bytes.length - begin, 4096)))
}

const byteMutations: readonly ((random: Random, bytes: Buffer) => Buffer)[] = [
  (random, bytes) => {
    for (let count = 1 + random.integer(4); count > 0; count--) {
      const bit = random.integer(8 * bytes.length)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    }
    return bytes
  },
  (random, bytes) => {
    for (let count = 1 + random.integer(3); count > 0; count--) overwrite(random, bytes)
    return bytes
  },
  (random, bytes) => {
    bytes.fill(random.integer(256), random.integer(bytes.length), random.integer(bytes.length) + 1)
    return bytes
  },
  // cut off, cut out, repeated, moved, and more at the end
  (random, bytes) => bytes.subarray(0, random.integer(bytes.length)),
  (random, bytes) => {
    const begin = random.integer(bytes.length)
    return Buffer.concat([bytes.subarray(0, begin), bytes.subarray(begin + 1 + random.integer(bytes.length - begin))])
  },
  (random, bytes) => {
    const begin = random.integer(bytes.length)
    return Buffer.concat([bytes.subarray(0, begin), partOf(random, bytes), bytes.subarray(begin)])
  },
  (random, bytes) => {
    const part = Buffer.from(partOf(random, bytes))
    part.copy(bytes, random.integer(bytes.length))
    return bytes
  },
  (random, bytes) => Buffer.concat([bytes, partOf(random, bytes)]),
  // a number in digits
  (random, bytes) => {
    const text = bytes.toString('latin1')
    const numbers = [...text.slice(0, 100_000).matchAll(/-?\d+(\.\d+)?/g)]
    const [found] = numbers.length > 0 ? [pick(random, numbers)] : []
    if (found === undefined) return bytes
    const [before, after] = [text.slice(0, found.index), text.slice(found.index + found[0].length)]
    return Buffer.from(`${before}${pick(random, digits)}${after}`, 'latin1')
  },
]

/** Bytes of a file in which something is changed, whatever the file is. */
export function mutatedBytes(random: Random, file: Uint8Array): Buffer {
  let bytes: Buffer = Buffer.from(file)
  for (let count = random.integer(8) === 0 ? 3 : 1; count > 0 && bytes.length > 0; count--)
    bytes = Buffer.from(pick(random, byteMutations)(random, bytes))
  return bytes
}
