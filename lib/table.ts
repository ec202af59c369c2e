import { stripVTControlCharacters } from 'node:util'

/** A column of a table: its title and alignment. */
export interface Column {
  title: string
  align: 'left' | 'right'
}

/** Columns of a terminal. A file or a pipe has no limit. */
export const columnsOf = (stream: NodeJS.WriteStream): number =>
  stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY

/** Wraps words at `width`. A longer word, such as a path, gets its own line; a command in backquotes is not broken. */
export function wrapped(words: string, width: number): string[] {
  const lines: string[] = []
  for (const word of words.match(/(?:`[^`]*`|\S)+/g) ?? []) {
    const last = lines.at(-1)
    if (last === undefined || stripVTControlCharacters(`${last} ${word}`).length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** Shortens a text to `width` with an ellipsis, which stands for a whole number rather than for a part of one. */
export function shortened(text: string, width: number): string {
  if (text.length <= width) return text
  const start = text.slice(0, Math.max(0, width - 1))
  const kept = /[\d.,]/.test(text[start.length] ?? '') ? start.replace(/[\d.,]+$/, '') : start
  return `${kept.trimEnd()}\u2026`
}

/**
 * Control characters, with which a file name could change a terminal or break a line, lone surrogates, line separators, and
 * bidirectional overrides.
 */
export const control = /[\p{Cc}\p{Surrogate}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

// as bash reads them too in $'...', where \x9b would be a byte and not a character
function escaped(character: string): string {
  const code = character.charCodeAt(0)
  const digits = code.toString(16)
  return code > 0x7f ? `\\u${digits.padStart(4, '0')}` : `\\x${digits.padStart(2, '0')}`
}

/**
 * A name, such as that of a file or a class, as it can be printed in one line: control characters become `\x1b`.
 * @param most length from which it is cut in the middle, since the ends of paths differ. Default: it is not cut
 */
export function printable(name: string, most = Number.POSITIVE_INFINITY): string {
  const plain = name.replaceAll(control, escaped)
  if (plain.length <= most) return plain
  const characters = Array.from(plain)
  const start = characters.slice(0, Math.ceil((most - 1) / 2)).join('')
  return `${start}\u2026${characters.slice(-Math.floor((most - 1) / 2)).join('')}`
}

/** Most characters of the names of files and classes in messages and tables. */
export const longestName = { file: 200, class: 40 } as const

const gap = 2
/** Widths below which the texts of a column, and its title, are not shortened. */
const [leastText, leastTitle] = [12, 6]

/**
 * Widths of the columns of a table in lines of at most `width` characters: texts and titles are shortened first, then the last
 * columns are left out.
 */
export function columnWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): number[] {
  const cells = columns.map((_, index) => Math.max(0, ...rows.map((row) => row[index]?.length ?? 0)))
  const widths = columns.map(({ title }, index) => Math.max(title.length, cells[index] ?? 0))
  const least = columns.map(({ align }, index) =>
    align === 'left' ? leastText : Math.max(leastTitle, cells[index] ?? 0),
  )
  const total = (): number => widths.reduce((sum, one) => sum + one + gap, -gap)
  while (total() > width) {
    const reducible = widths.map((one, index) => (one > (least[index] ?? 0) ? one : 0))
    const widest = Math.max(...reducible)
    if (widest === 0) break
    widths[reducible.indexOf(widest)] = widest - 1
  }
  // the ellipsis for the columns that are left out takes two characters
  if (total() > width) while (widths.length > 1 && total() + 2 > width) widths.pop()
  return widths
}

/** A row of a table. @param widths widths of the columns that fit */
export function rowText(columns: readonly Column[], cells: readonly string[], widths: readonly number[]): string {
  const padded = widths.map((width, index) => {
    const cell = shortened(cells[index] ?? '', width)
    return columns[index]?.align === 'left' ? cell.padEnd(width) : cell.padStart(width)
  })
  const row = padded.join(' '.repeat(gap))
  return widths.length < columns.length ? `${row} \u2026` : row.trimEnd()
}

/**
 * Formats a table as lines: titles, a rule, rows. Cells are plain text without colours; control characters in them are
 * escaped.
 * @param width most characters of a line; longer ones are shortened with an ellipsis
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const shown = columns.map(({ title, align }): Column => ({ title: printable(title), align }))
  const cells = rows.map((row) => row.map((cell) => printable(cell)))
  const widths = columnWidths(shown, cells, width)
  const line = (row: readonly string[]): string => rowText(shown, row, widths)
  const rule = widths.map((width) => '-'.repeat(width)).join(' '.repeat(gap))
  return [line(shown.map(({ title }) => title)), rule, ...cells.map(line)]
}

/** Formats a whole number with thousands separators: `138,357,544`. */
export function countText(count: number): string {
  return count.toLocaleString('en-US')
}

/** Formats a number with its noun: `1 image`, `1,234 images`. */
export function countedText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`
}

/** Formats an amount with three digits and a decimal prefix: `15.5 G`, `86.7 M`. */
export function amountText(amount: number): string {
  return scaled(amount, 1000, ['', ' k', ' M', ' G', ' T', ' P'])
}

/** Formats bytes with a binary prefix: `527.8 MiB`. */
export function bytesText(bytes: number): string {
  return scaled(bytes, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB', ' PiB'])
}

function scaled(amount: number, base: number, units: readonly string[]): string {
  let value = amount
  let unit = 0
  while (value >= base && unit < units.length - 1) {
    value /= base
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(value < 100 ? 2 : 1)}${units[unit]}`
}

const mostListed = 10

/** Formats a list of numbers: `3, 4, 7`; from the eleventh on only their count: ` and 2 more`. */
export function listText(numbers: readonly number[]): string {
  const more = numbers.length - mostListed
  const first = numbers.slice(0, mostListed).join(', ')
  return more > 0 ? `${first} and ${countText(more)} more` : first
}
