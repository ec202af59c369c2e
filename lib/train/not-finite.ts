import type { Dataset } from '../data/dataset.js'
import { VggError } from '../error.js'
import { type Check, fraction, integer, isObject, readOptions, unexpected, withDefault } from '../options.js'

/** What follows a loss or gradient that is not finite. */
export type NotFinite = 'stop' | 'skip' | { readonly back: number; readonly times: number }

/**
 * What follows a loss or gradient that is not finite, as `TrainOptions` explains it. `back` is a factor of the rate, above 0
 * and below 1 (0.1); `times` how often it may go back, from 1 (3).
 */
export type NotFiniteOption = 'stop' | 'skip' | 'back' | { readonly back: number; readonly times?: number }

const factor: Check<number> = (value, name) => {
  if (value !== 0) return fraction(value, name)
  throw unexpected('a factor above 0 and below 1', name, value)
}

const backChecks = { back: withDefault(factor, 0.1), times: withDefault(integer(1), 3) }

/** Reads what follows; going back is by a factor of 0.1, three times at most, unless told. */
export const notFiniteCheck: Check<NotFinite> = (value, name) => {
  if (value === 'stop' || value === 'skip') return value
  if (value === 'back') return readOptions({}, name, backChecks)
  if (isObject(value)) return readOptions(value, name, backChecks)
  throw unexpected("'stop', 'skip', 'back' or { back: factor }", name, value)
}

const mostNamed = 5

/** The error of a step that was not finite: step, images, and what the network said, which names the layer. */
export function notFiniteError(cause: VggError, data: Dataset, step: number, indices: Int32Array): VggError {
  const names = Array.from(indices.subarray(0, mostNamed), (index) => data.nameOf?.(index) ?? `number ${index}`)
  const more = indices.length > names.length ? ` and ${indices.length - names.length} more` : ''
  const images = indices.length === 1 ? 'image' : 'images'
  // the network counts only steps that changed something
  const reason = cause.message.replace(/^training step \d+ /, 'it ')
  const message = `Step ${step} changed nothing: ${reason}; ${images}: ${names.join(', ')}${more}`
  return new VggError('NOT_FINITE', message, { cause })
}
