/** A column of a table: its title and alignment. */
export interface Column {
  title: string
  align: 'left' | 'right'
}

/** Formats a table as lines: titles, a rule, rows. Cells are plain text without colours. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const [cell, width] = [cells[index] ?? '', widths[index] ?? 0]
        return align === 'left' ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  return [line(columns.map(({ title }) => title)), rule, ...rows.map(line)]
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
