import type { SkippedImage } from '../../data/batch.js'
import { VggError } from '../../error.js'
import { countedText, countText, longestName, printable } from '../../table.js'

type Unreadable = readonly Pick<SkippedImage, 'name' | 'reason'>[]

/** Most unreadable images that are named. */
const mostNamed = 10

/** A line for each image that could not be read, and one for those that are too many. */
export function unreadableLines(unreadable: Unreadable): string[] {
  const lines = unreadable
    .slice(0, mostNamed)
    .map(({ name, reason }) => `not read: ${printable(name, longestName.file)}: ${printable(reason)}`)
  const more = unreadable.length - lines.length
  if (more > 0) lines.push(`not read: ${countText(more)} more, which --json lists`)
  return lines
}

/**
 * Ends a command whose result is that of the other images.
 * @param read number of those
 * @throws FILE_FORMAT if images could not be read
 */
export function checkRead(read: number, unreadable: Unreadable): void {
  const [first] = unreadable
  if (first === undefined) return
  const message = `${unreadable.length} of ${countedText(read + unreadable.length, 'image')} could not be read, the first ${printable(first.name, longestName.file)}: ${first.reason}; fix or remove them, or accept this with --on-unreadable skip`
  throw new VggError('FILE_FORMAT', message)
}
