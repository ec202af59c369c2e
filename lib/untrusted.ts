import { messageOf, VggError } from './error.js'

/** Limits of a JSON text. They are checked in its bytes, before anything is made of them. */
export interface JsonLimits {
  /** Most bytes of the text. */
  readonly bytes: number
  /** Most levels of nesting: 1 for `{}`, 2 for `{"a":[]}`. */
  readonly depth: number
  /** Most arrays, objects and their elements together. An empty object takes 2 bytes of text, and 60 in memory. */
  readonly values: number
  /** Most keys of all objects together. A key that occurs once takes up to 3 µs to read, thirty times as long as a value. */
  readonly keys: number
}

/**
 * Parses JSON of a file in two linear passes: the first one counts.
 * @param subject what the message is about, such as 'its header'
 * @throws FILE_FORMAT `«subject» is not JSON: «reason»`, or `«subject» has more than ...`
 */
export function parsedJson(text: string | Uint8Array, limits: JsonLimits, subject = 'it'): unknown {
  const refused = (what: string, cause?: unknown): VggError =>
    new VggError('FILE_FORMAT', `${subject} ${what}`, { cause })
  // a text is longer in bytes than in code units
  if (text.length > limits.bytes) throw refused(`has ${text.length} bytes; at most ${limits.bytes} are read`)
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const excess = excessOf(bytes, limits)
  if (excess !== undefined) throw refused(excess)
  try {
    return JSON.parse(
      typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text),
    )
  } catch (cause) {
    throw refused(`is not JSON: ${messageOf(cause)}`, cause)
  }
}

const codeOf = (character: string): number => character.charCodeAt(0)
const [quote, backslash, comma, colon] = [codeOf('"'), codeOf('\\'), codeOf(','), codeOf(':')]
const [object, array, objectEnd, arrayEnd] = [codeOf('{'), codeOf('['), codeOf('}'), codeOf(']')]

/** What a JSON text has more of than its limits, bytes aside; undefined if nothing. The text may be anything. */
export function excessOf(bytes: Uint8Array, { depth, values, keys: mostKeys }: JsonLimits): string | undefined {
  let [levels, count, keys] = [0, 0, 0]
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) {
      at = endOfString(bytes, at)
    } else if (byte === comma) {
      count += 1
    } else if (byte === colon) {
      keys += 1
    } else if (byte === object || byte === array) {
      count += 1
      levels += 1
      if (levels > depth) return `is nested more than ${depth} deep`
    } else if (byte === objectEnd || byte === arrayEnd) {
      levels -= 1
    }
    if (count > values) return `has more than ${values} values`
    if (keys > mostKeys) return `has more than ${mostKeys} keys`
  }
  return undefined
}

/** Whether an object of a JSON text has a key twice, of which `value`, the parsed text, has the last one. */
export const hasRepeatedKeys = (bytes: Uint8Array, value: unknown): boolean => keysIn(bytes) !== keysOf(value)

function keysIn(bytes: Uint8Array): number {
  let keys = 0
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === quote) at = endOfString(bytes, at)
    else if (bytes[at] === colon) keys += 1
  }
  return keys
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let keys = 0
  if (Array.isArray(value)) for (const element of value) keys += keysOf(element)
  else for (const element of Object.values(value)) keys += 1 + keysOf(element)
  return keys
}

/** The position of the quote that ends the string which begins at `begin`. */
function endOfString(bytes: Uint8Array, begin: number): number {
  let at = begin + 1
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1
  return at
}
