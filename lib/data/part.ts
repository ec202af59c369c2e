import { type Check, integer, objectOf, unexpected } from '../options.js'

/** One of `size` parts of equal size, but for the last ones. */
export interface Part {
  /** Number of the part, from 0. */
  readonly rank: number
  /** Number of parts, at least 1. */
  readonly size: number
}

/** The only part. */
export const whole: Part = { rank: 0, size: 1 }

/** Check of a {@link Part}. */
export const partCheck: Check<Part> = (value, name) => {
  const read = objectOf({ rank: integer(0), size: integer(1) })(value, name)
  if (read.rank < read.size) return read
  throw unexpected(`a rank below ${read.size}`, `${name}.rank`, read.rank)
}

/** The begin and end of a part of `count` items. */
export function rangeOf(count: number, { rank, size }: Part): [begin: number, end: number] {
  const each = Math.ceil(count / size)
  return [Math.min(rank * each, count), Math.min((rank + 1) * each, count)]
}
