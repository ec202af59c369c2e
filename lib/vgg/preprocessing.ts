import { type ColourShift, colourShiftCheck } from '../data/images/colour.js'
import type { SmallestSide } from '../data/images/crop.js'
import { type Check, integer, optional, readOptions, unexpected } from '../options.js'

/**
 * Preprocessing of images before they enter the network, besides its mean and scale: fitted on the training set, saved
 * with the model, and applied wherever the model is used on images.
 */
export interface Preprocessing {
  /** S of Sect. 3.1 in pixels: smallest side of the resized image from which crops of the network's size are taken. */
  readonly smallestSide?: SmallestSide | undefined
  /** Random shift of red, green and blue along the principal axes of the training set's colours. */
  readonly colour?: ColourShift | undefined
}

const side = integer(1, 65535)

/** Check of S: a side, or [least, most]. */
export const smallestSideCheck: Check<SmallestSide> = (value, name) => {
  if (!Array.isArray(value)) return side(value, name)
  const [least, most] = [side(value[0], `${name}[0]`), side(value[1], `${name}[1]`)]
  if (value.length === 2 && least <= most) return [least, most]
  throw unexpected('a side or [least, most]', name, value)
}

const preprocessingChecks = { smallestSide: optional(smallestSideCheck), colour: optional(colourShiftCheck) }

/** Check of {@link Preprocessing}. */
export const preprocessing: Check<Preprocessing> = (value, name) => {
  const { smallestSide: side, colour } = readOptions(value, name, preprocessingChecks)
  return { ...(side !== undefined && { smallestSide: side }), ...(colour && { colour }) }
}
