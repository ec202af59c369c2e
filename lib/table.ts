/** A column: its title, and on which side its cells stand. */
export interface Column {
  title: string
  align: 'left' | 'right'
}

/** Lines of a table: titles, a rule, rows. Cells are plain text; colour comes after. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, position) =>
    Math.max(title.length, ...rows.map((row) => row[position]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, position) => {
        const [cell, width] = [cells[position] ?? '', widths[position] ?? 0]
        return align === 'left' ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  return [line(columns.map(({ title }) => title)), rule, ...rows.map(line)]
}

/** A whole number with its thousands set apart: `138,357,544`. */
export function countText(count: number): string {
  return count.toLocaleString('en-US')
}

/** A number of things: `1 image`, `1,234 images`. */
export function countedText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`
}

/** Three digits and a unit of 1000: `15.5 G`, `86.7 M`. */
export function amountText(amount: number): string {
  return scaled(amount, 1000, ['', ' k', ' M', ' G', ' T', ' P'])
}

/** Three digits and a unit of 1024: `527.8 MiB`. */
export function bytesText(bytes: number): string {
  return scaled(bytes, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB'])
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

/** The first numbers of a list, and how many more there are: `3, 4, 7`, or with ` and 2 more` after the tenth. */
export function listText(numbers: readonly number[]): string {
  const more = numbers.length - mostListed
  const first = numbers.slice(0, mostListed).join(', ')
  return more > 0 ? `${first} and ${countText(more)} more` : first
}
