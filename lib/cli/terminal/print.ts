import pc from 'picocolors'
import { control, printable } from '../../table.js'

/** A control character with the rest of a colour, `[31m`, after it. */
const coloured = /(\p{Cc}\[\d{1,3}m)/u

/** A line in which only the colours of this program can act on a terminal, and nothing that a name contains. */
const shownLine = (line: string, colours: boolean): string =>
  line
    .split(coloured)
    .map((part, index) => (colours && index % 2 === 1 && part.startsWith('\x1b') ? part : printable(part)))
    .join('')

/**
 * Prints lines of text: the only way from here to a terminal. Control characters, except line breaks and the colours where
 * there are colours, are shown as `\x1b`; a name that may contain them is made {@link printable} before it is put into a text.
 */
export function print(text: string, stream: NodeJS.WriteStream = process.stdout): void {
  const isError = stream === process.stderr
  const colours = pc.isColorSupported && (!isError || stream.isTTY === true)
  const lines = text.split('\n').map((line) => shownLine(line, colours))
  if (isError) console.error(lines.join('\n'))
  else console.log(lines.join('\n'))
}

/**
 * Prints a value as JSON. JSON.stringify leaves DEL, the control characters from 0x80 on and bidirectional overrides as they
 * are; a terminal would obey them.
 * @param indent spaces for each level; 0 for one line
 */
export function printJson(value: unknown, indent = 0): void {
  const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  const lines = JSON.stringify(value, null, indent).split('\n')
  console.log(lines.map((line) => line.replaceAll(control, escaped)).join('\n'))
}
