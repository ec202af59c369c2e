import { VggError } from '../../error.js'

/** One row of a table in a text. */
export interface Row {
  readonly fields: readonly string[]
  /** Line number from 1; the first line of a row that spans several. */
  readonly line: number
}

/** Limits of a table and of a row. The largest number of characters is that of a row. */
export const most = { lines: 2 ** 22, fields: 1000, characters: 2 ** 20 } as const

/** The error for a line of a file. */
export const at = (file: string, line: number, message: string): VggError =>
  new VggError('FILE_FORMAT', `${file}, line ${line}: ${message}`)

const [lineFeed, carriageReturn, quote] = [10, 13, 34]

/**
 * Splits a text, of which the parts come one after the other, into rows of fields (RFC 4180). A quoted field may contain
 * separators, line ends and doubled quotes. A row with one blank field is left out.
 */
export class RowParser {
  readonly #file: string
  readonly #separator: string
  /** What is not parsed: it begins with a row. */
  #text = ''
  #position = 0
  #line = 1
  /** Whether nothing follows the text. */
  #isLast = false

  constructor(separator: string, file: string) {
    this.#separator = separator
    this.#file = file
  }

  /**
   * The rows that a further part of the text completes.
   * @throws FILE_FORMAT with file and line
   */
  *rows(part: string, isLast: boolean): Generator<Row> {
    this.#text += part
    this.#isLast = isLast
    while (this.#position < this.#text.length) {
      const [position, line] = [this.#position, this.#line]
      const fields = this.#row()
      if (fields === undefined) {
        this.#position = position
        this.#line = line
        break
      }
      this.#checkLength(this.#position - position, line)
      if (this.#line > most.lines + 1) {
        const message = `Expected a list of at most ${most.lines} lines for ${this.#file} but it has more: divide it`
        throw new VggError('FILE_FORMAT', message)
      }
      if (fields.length > 1 || fields[0]?.trim() !== '') yield { fields, line }
    }
    this.#text = this.#text.slice(this.#position)
    this.#position = 0
    this.#checkLength(this.#text.length, this.#line)
  }

  #checkLength(characters: number, line: number): void {
    if (characters <= most.characters) return
    const message = `Expected at most ${most.characters} characters in a row but it has more; is a closing quote missing?`
    throw at(this.#file, line, message)
  }

  /** The fields of the row at the position; undefined if more of the text is needed. */
  #row(): string[] | undefined {
    const fields: string[] = []
    for (;;) {
      if (fields.length === most.fields) {
        throw at(this.#file, this.#line, `Expected at most ${most.fields} fields but it has more`)
      }
      const isQuoted = this.#text.charCodeAt(this.#position) === quote
      const field = isQuoted ? this.#quoted() : this.#plain()
      if (field === undefined) return undefined
      fields.push(field)
      if (isQuoted && this.#text.charCodeAt(this.#position) === carriageReturn) this.#position += 1
      const ending = this.#text[this.#position]
      if (ending === undefined && !this.#isLast) return undefined
      if (ending !== undefined && ending !== this.#separator && ending !== '\n') {
        throw at(this.#file, this.#line, `Expected a separator after the closing quote but found '${ending}'`)
      }
      this.#position += 1
      if (ending !== this.#separator) break
    }
    this.#line += 1
    return fields
  }

  #quoted(): string | undefined {
    const opened = this.#line
    const begin = this.#position + 1
    for (let end = begin; ; end += 2) {
      end = this.#text.indexOf('"', end)
      if (end === -1 || (end + 1 === this.#text.length && !this.#isLast)) {
        if (!this.#isLast) return undefined
        throw at(this.#file, opened, 'Expected a closing quote but the file ends')
      }
      if (this.#text.charCodeAt(end + 1) === quote) continue
      const field = this.#text.slice(begin, end)
      for (let found = field.indexOf('\n'); found !== -1; found = field.indexOf('\n', found + 1)) this.#line += 1
      this.#position = end + 1
      return field.replaceAll('""', '"')
    }
  }

  #plain(): string {
    const separator = this.#separator.charCodeAt(0)
    const begin = this.#position
    let end = begin
    for (; end < this.#text.length; end++) {
      const character = this.#text.charCodeAt(end)
      if (character === separator || character === lineFeed) break
    }
    this.#position = end
    const isCut = end > begin && this.#text.charCodeAt(end - 1) === carriageReturn
    return this.#text.slice(begin, isCut ? end - 1 : end)
  }
}
