import { messageOf, VggError } from './error.js'
import { likelyMeant } from './misspelling.js'

/** Returns the value if it is valid for the option `name`, otherwise throws INVALID_ARGUMENT. */
export type Check<T> = (value: unknown, name: string) => T

/** Table of checks, one for each option of an options object. */
export type Checks = Record<string, Check<unknown>>

/** Checked options: the result of each check of a table. */
export type Checked<C extends Checks> = { [K in keyof C]: C[K] extends Check<infer T> ? T : never }

const longestShown = 60

/** A text of the user's for a message, without what follows its 60th character. */
export const shorten = (text: string): string =>
  text.length > longestShown ? `${text.slice(0, longestShown)}...` : text

// String() throws for an object without a prototype
const shownElement = (value: unknown): string => (typeof value === 'object' && value !== null ? '{}' : String(value))

/** The name of a function or class; a program may have given it one that is no text. */
const nameOf = ({ name }: { name: unknown }): string => (typeof name === 'string' && name !== '' ? name : 'anonymous')

function className(value: object): string {
  const made = value.constructor
  return typeof made === 'function' ? nameOf(made) : 'Object'
}

/** What `look` finds in a value; `otherwise` where a getter or a proxy of the caller throws. */
function looked<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}

/** Formats a value for an error message: `-1 (number)`, `'sed' (string)`, `Float32Array(3)`, `[1, 2] (array)`. */
export const shown = (value: unknown): string => looked(() => shownValue(value), 'an object that cannot be read')

function shownValue(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `'${shorten(value)}' (string)`
  if (ArrayBuffer.isView(value)) return `${className(value)}(${'length' in value ? value.length : value.byteLength})`
  if (Array.isArray(value)) return `[${shorten(value.slice(0, 20).map(shownElement).join(', '))}] (array)`
  if (typeof value === 'object') return `${className(value)} (object)`
  if (typeof value === 'function') return `${nameOf(value)} (function)`
  return `${String(value)} (${typeof value})`
}

// If two copies of the package are loaded, their classes have the same names but are different.
function isOfAnotherCopy(value: unknown, what: string): boolean {
  if (typeof value !== 'object' || value === null) return false
  const words = what.toLowerCase().split(/\W+/)
  for (let of = Object.getPrototypeOf(value); of !== null; of = Object.getPrototypeOf(of)) {
    const name = className(of)
    if (['Tensor', 'Network', 'VGG'].includes(name) && words.includes(name.toLowerCase())) return true
  }
  return false
}

const isPromise = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/**
 * Creates the error `Expected «what» for «name» but received «value»; «cure»`. For a promise the cure is to await it.
 * @param cure what to write instead, where the caller knows it
 */
export function unexpected(what: string, name: string, value: unknown, cure?: string): VggError {
  const origin = looked(() => isOfAnotherCopy(value, what), false) ? ' of another copy of vggnet' : ''
  const ending = looked(() => isPromise(value), false) ? 'await it first' : cure
  const message = `Expected ${what} for ${name} but received ${shown(value)}${origin}`
  return new VggError('INVALID_ARGUMENT', ending === undefined ? message : `${message}; ${ending}`)
}

/** Creates the error for an unknown name: `Expected one of ... for «name» but received 'x'; did you mean 'y'?` */
export function unknownName(received: string, name: string, names: readonly string[]): VggError {
  const meant = likelyMeant(received, names)
  // in a long list (the parameters of a network) the likely name would be hard to see
  const list = names.length > 24 ? `${names.slice(0, 24).join(', ')}, ...` : names.join(', ')
  const ending = meant === undefined ? '' : `; did you mean '${meant}'?`
  return new VggError(
    'INVALID_ARGUMENT',
    `Expected ${names.length === 0 ? 'no key' : `one of ${list}`} for ${name} but received '${shorten(received)}'${ending}`,
  )
}

/** Whether a value is an object with fields, not an array, a typed array or a promise. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !ArrayBuffer.isView(value) &&
  looked(() => !Array.isArray(value) && !isPromise(value), false)

/** Reads what a caller gave; where a getter or a proxy of the caller throws, that is an error like others. @throws INVALID_ARGUMENT */
export function readable<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof VggError) throw cause
    throw new VggError('INVALID_ARGUMENT', `Could not read ${name}: ${looked(() => messageOf(cause), 'it throws')}`, {
      cause,
    })
  }
}

/**
 * Reads an options object by a table of checks. Unknown keys are refused by name; `undefined` means absent.
 * @param name name of the object in messages, such as `VGG.create options`
 * @throws INVALID_ARGUMENT
 */
export function readOptions<C extends Checks>(options: unknown, name: string, checks: C): Checked<C> {
  const given = options === undefined ? {} : options
  return fieldsOf(given, name, checks, '')
}

/** An object inside another one, read by a table of checks: messages name the whole path of a key, and no key is unknown. */
export const objectOf =
  <C extends Checks>(checks: C): Check<Checked<C>> =>
  (value, name) =>
    fieldsOf(value, name, checks, `${name}.`)

/** @param prefix what messages name before a key */
function fieldsOf<C extends Checks>(given: unknown, name: string, checks: C, prefix: string): Checked<C> {
  return readable(name, () => {
    if (!isObject(given)) throw unexpected('an object', name, given)
    for (const key of Object.keys(given)) {
      if (!Object.hasOwn(checks, key)) throw unknownName(key, name, Object.keys(checks))
    }
    const read: Record<string, unknown> = {}
    for (const key of Object.keys(checks)) read[key] = checks[key]?.(given[key], `${prefix}${key}`)
    return read as Checked<C>
  })
}

/** Makes an option optional: undefined stays undefined. */
export const optional =
  <T>(check: Check<T>): Check<T | undefined> =>
  (value, name) =>
    value === undefined ? undefined : check(value, name)

/** A check that returns `fallback` for undefined. */
export interface DefaultCheck<T> extends Check<T> {
  readonly fallback: T
}

/** As `check`, and undefined becomes `fallback`. */
export const withDefault = <T>(check: Check<T>, fallback: T): DefaultCheck<T> =>
  Object.assign((value: unknown, name: string) => (value === undefined ? fallback : check(value, name)), { fallback })

/** The default that a check returns for undefined; undefined where it has none. */
export const fallbackOf = (check: Check<unknown>): unknown => (check as Partial<DefaultCheck<unknown>>).fallback

/** One row of a table of options: the check with the default, and the option's flag on the command line. */
export interface OptionRow {
  readonly check: Check<unknown>
  /** The flag as commander takes it, such as `--epochs <n>`. An option without it has no flag. */
  readonly flag?: string
  /** Help text of the flag. A default that is a number or a name is appended unless the text states one. */
  readonly help?: string
  /** The values that the flag takes, where it takes names. */
  readonly choices?: readonly string[]
}

/** The checks of a table of options. */
export const checksOf = <T extends Record<string, OptionRow>>(table: T): { [K in keyof T]: T[K]['check'] } =>
  Object.fromEntries(Object.entries(table).map(([name, { check }]) => [name, check])) as never

const numberThat =
  (what: string, fits: (value: number) => boolean): Check<number> =>
  (value, name) => {
    if (typeof value === 'number' && fits(value)) return value
    const quoted = typeof value === 'string' && value.trim() !== '' && fits(Number(value))
    throw unexpected(what, name, value, quoted ? `write the number ${Number(value)} without quotes` : undefined)
  }

/** A finite number. */
export const finite = numberThat('a finite number', Number.isFinite)
/** A finite number > 0. */
export const positive = numberThat('a number above 0', (value) => value > 0 && Number.isFinite(value))
/** A finite number >= 0. */
export const nonNegative = numberThat('a number of at least 0', (value) => value >= 0 && Number.isFinite(value))
/** A number p with 0 <= p < 1, also when rounded to float32: a dropout rate, a momentum. */
export const fraction = numberThat('a number from 0 to below 1', (value) => value >= 0 && Math.fround(value) < 1)

/** Checks that a number can be represented in float32: it must not become infinite, nor 0 unless it is 0. */
export const float32 =
  (check: Check<number>): Check<number> =>
  (value, name) => {
    const number = check(value, name)
    const rounded = Math.fround(number)
    if (Number.isFinite(rounded) && (rounded !== 0 || number === 0)) return number
    throw unexpected('a number that float32 holds (of size 1.4e-45 to 3.4e38)', name, value)
  }

/** An integer from `min` to `max`, both included. */
export const integer = (min: number, max: number = Number.MAX_SAFE_INTEGER): Check<number> =>
  numberThat(
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
    (value) => Number.isSafeInteger(value) && value >= min && value <= max,
  )

/** A seed: an integer from 0 to 2^53 - 1. */
export const seed = integer(0)

/** true or false. */
export const boolean: Check<boolean> = (value, name) => {
  if (typeof value === 'boolean') return value
  throw unexpected('true or false', name, value)
}

/** A string that is not empty. */
export const text: Check<string> = (value, name) => {
  if (typeof value === 'string' && value !== '') return value
  throw unexpected('a string that is not empty', name, value)
}

/** A path of a file: a string that is not empty and holds no zero byte. */
export const filePath: Check<string> = (value, name) => {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw unexpected('the path of a file', name, value)
}

/**
 * A callback, which may be asynchronous: a promise that it returns is awaited before the next call, and its error, thrown
 * or rejected, rejects the call that it was passed to.
 */
export type Callback<Arguments extends readonly unknown[]> =
  | ((...given: Arguments) => void)
  | ((...given: Arguments) => Promise<void>)

/** A function; the caller states its signature. */
export const callback =
  <F extends (...given: never[]) => unknown>(): Check<F> =>
  (value, name) => {
    if (typeof value === 'function') return value as F
    throw unexpected('a function', name, value)
  }

/** One of the given names. */
export const oneOf =
  <const T extends string>(...names: readonly T[]): Check<T> =>
  (value, name) => {
    const found = names.find((known) => known === value)
    if (found !== undefined) return found
    if (typeof value === 'string') throw unknownName(value, name, names)
    throw unexpected(`one of ${names.join(', ')}`, name, value)
  }

/** An array whose elements all pass `check`. */
export const arrayOf =
  <T>(check: Check<T>): Check<T[]> =>
  (value, name) => {
    const cure = typeof value === 'string' ? `write ['${shorten(value)}']` : undefined
    return readable(name, () => {
      if (!Array.isArray(value)) throw unexpected('an array', name, value, cure)
      return Array.from(value, (element, index) => check(element, `${name}[${index}]`))
    })
  }

/** An instance of a class. */
export const instanceOf =
  <T>(type: abstract new (...given: never[]) => T): Check<T> =>
  (value, name) => {
    if (value instanceof type) return value
    throw unexpected(`a ${type.name}`, name, value)
  }
