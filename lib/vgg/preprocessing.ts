import { type ColourShift, colourShiftCheck } from '../data/images/colour.js'
import type { SmallestSide } from '../data/images/crop.js'
import { type Check, integer, optional, readOptions, unexpected } from '../options.js'

/**
 * What was done to images before they came to a network, besides its mean and scale: fitted on the training set,
 * kept with the model, and used by everything that shows the model images afterwards.
 */
export interface Preprocessing {
  /** S of Sect. 3.1: smallest side, in pixels, of the image from which the network's size is cut. */
  readonly smallestSide?: SmallestSide
  /** The random shift of red, green and blue along the axes in which the training set varies. */
  readonly colour?: ColourShift
}

const side = integer(1, 65535)

const smallestSide: Check<SmallestSide> = (value, name) => {
  if (!Array.isArray(value)) return side(value, name)
  const [least, most] = [side(value[0], `${name}[0]`), side(value[1], `${name}[1]`)]
  if (value.length === 2 && least <= most) return [least, most]
  throw unexpected('a side or [least, most]', name, value)
}

const checks = { smallestSide: optional(smallestSide), colour: optional(colourShiftCheck) }

/** The check of {@link Preprocessing}. */
export const preprocessing: Check<Preprocessing> = (value, name) => {
  const { smallestSide: side, colour } = readOptions(value, name, checks)
  return { ...(side !== undefined && { smallestSide: side }), ...(colour && { colour }) }
}
