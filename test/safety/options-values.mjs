// Hostile values for options, described as plain data that fast-check can hold.
import fc from 'fast-check'

const bases = [0, 1, 2, 3, 4, 16, 32, 255, 1024, 2 ** 20, 2 ** 24, 2 ** 31, 2 ** 32, 2 ** 48, 2 ** 53]
const integers = bases.flatMap((base) => [base - 1, base, base + 1, -base])
const others = [0.1, 0.5, 1 - 2 ** -53, 1e-300, 5e-324, -0, 1e38, 1e39, 1e308, Number.NaN, Infinity, -Infinity]
const caller = () => {
  throw new TypeError('of the caller')
}
/** What a callback throws; the function that it was given to rejects with it as it is. */
export const ofCallback = new TypeError('of a callback')
const callback = () => {
  throw ofCallback
}
const traps = Object.fromEntries(
  ['get', 'has', 'ownKeys', 'getOwnPropertyDescriptor', 'getPrototypeOf'].map((trap) => [trap, caller]),
)
const objects = {
  empty: () => ({}),
  bare: () => Object.create(null),
  valueOf: () => ({ valueOf: caller, toString: caller, toJSON: caller }),
  number: () => ({ valueOf: () => 3, toString: () => '3' }),
  getter: () => Object.defineProperty({}, 'back', { get: caller, enumerable: true }),
  constructed: () => ({ constructor: caller, name: { toString: caller } }),
  proxy: () => new Proxy({}, traps),
  arrayProxy: () => new Proxy([1], traps),
  functionProxy: () => new Proxy(callback, traps),
  thenable: () => Object.fromEntries([['then', caller]]),
  symbol: () => Symbol('s'),
  date: () => new Date(Number.NaN),
  typed: () => new Float64Array(3),
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable([], {})
    revoke()
    return proxy
  },
}
const texts = ['', '1', 'auto', '__proto__', 'constructor', 'a\u0000b', '\ud800', 'x'.repeat(100_000), '9'.repeat(400)]
const numbers = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...integers) },
  { weight: 3, arbitrary: fc.constantFrom(...others) },
  { weight: 1, arbitrary: fc.double() },
)
/** Described by name, because fast-check looks into what it generates. */
const made = fc.constantFrom(...Object.keys(objects)).map((object) => ({ object }))
export const values = fc.oneof(
  { weight: 8, arbitrary: numbers },
  { weight: 2, arbitrary: made },
  { weight: 1, arbitrary: fc.constantFrom(null, undefined, true, false, 0n, 2n ** 64n) },
  { weight: 1, arbitrary: fc.constantFrom(...texts) },
  { weight: 2, arbitrary: fc.array(fc.oneof(numbers, made), { maxLength: 4 }) },
)

/** The value of a description. */
export function built(described) {
  if (Array.isArray(described)) return described.map(built)
  return typeof described === 'object' && described !== null ? objects[described.object]() : described
}

/** A value as text, whatever it does when it is read. */
export function textOf(value) {
  try {
    return String(value)
  } catch {
    return 'x'
  }
}
