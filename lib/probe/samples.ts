import path from 'node:path'
import { pathNames } from '../data/sources/list.js'
import { at, type Row } from '../data/sources/rows.js'
import { rowsOf } from '../data/sources/table-file.js'
import { VggError } from '../error.js'
import { shorten } from '../options.js'

/** What a table of samples says of rows of features. A part is absent where the table has no such column. */
export interface Samples {
  readonly weights?: Float64Array
  /** Indices of the rows that are held out. */
  readonly heldOut?: Int32Array
  readonly strata?: readonly string[]
}

const columns = ['weight', 'part', 'stratum'] as const
type Column = (typeof columns)[number]

/** The columns of a table by its header. */
type Header = Partial<Record<Column, number>> & { readonly file: number; readonly width: number }

/** One row of a table. */
type Sample = Partial<Record<Column, string>> & { readonly line: number }

const expected = `a header that names the column of files (${pathNames.join(', ')}) and one or more of ${columns.join(', ')}`

function headerOf({ fields, line }: Row, file: string): Header {
  const heads = fields.map((field) => field.trim().toLowerCase())
  const own = columns.filter((name) => heads.includes(name))
  const files = heads.findIndex((head) => pathNames.includes(head))
  if (files === -1 || own.length === 0)
    throw at(file, line, `Expected ${expected} but found '${shorten(fields.join(', '))}'`)
  return { file: files, width: heads.length, ...Object.fromEntries(own.map((name) => [name, heads.indexOf(name)])) }
}

/** The samples of a table by path, as it is written and as it leads from the folder of the table. */
async function tableOf(file: string): Promise<{ header: Header; samples: Map<string, Sample> }> {
  let header: Header | undefined
  const samples = new Map<string, Sample>()
  for await (const rows of rowsOf(file, 'a table of samples')) {
    for (const row of rows) {
      if (header === undefined) {
        header = headerOf(row, file)
        continue
      }
      const { fields, line } = row
      if (fields.length !== header.width)
        throw at(file, line, `Expected ${header.width} fields but found ${fields.length}`)
      const name = fields[header.file] ?? ''
      const { width: _, file: __, ...own } = header
      const texts = Object.entries(own).map(([column, index]) => [column, (fields[index] ?? '').trim()])
      const sample = { ...Object.fromEntries(texts), line }
      const resolved = path.resolve(path.dirname(file), name)
      const earlier = samples.get(resolved)
      if (earlier !== undefined)
        throw at(file, line, `Expected each file once but ${name} is also in line ${earlier.line}`)
      samples.set(resolved, sample)
      samples.set(name, sample)
    }
  }
  if (header === undefined) throw new VggError('FILE_FORMAT', `Expected ${expected} in ${file} but it is empty`)
  return { header, samples }
}

const parts = ['training', 'validation'] as const

/**
 * Reads a CSV or TSV table of samples: columns `weight` (a number above 0), `part` ('training' or 'validation', which is held out)
 * and `stratum` beside the path of the file, which is a name of a row or leads from the folder of the table to its file. Other
 * columns are ignored, so that a list of images can have these columns too.
 * @param names the names of the rows, each of which must be in the table
 * @throws FILE_NOT_FOUND, FILE_FORMAT with file and line
 */
export async function readSamples(file: string, names: readonly string[]): Promise<Samples> {
  const { header, samples } = await tableOf(file)
  const rows = names.map((name) => {
    const found = samples.get(name) ?? samples.get(path.resolve(name))
    if (found !== undefined) return found
    throw new VggError('FILE_FORMAT', `Expected a line for ${name}, which has features, in ${file} but there is none`)
  })
  const valuesOf = <T>(column: Column, read: (text: string) => T | undefined, what: string): T[] =>
    rows.map(({ [column]: text = '', line }) => {
      const value = read(text)
      if (value === undefined) throw at(file, line, `Expected ${what} for ${column} but found '${shorten(text)}'`)
      return value
    })
  const weight = (text: string) =>
    text !== '' && Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined
  const part = (text: string) => parts.find((name) => name === text.toLowerCase())
  return {
    ...(header.weight !== undefined && { weights: Float64Array.from(valuesOf('weight', weight, 'a number above 0')) }),
    ...(header.part !== undefined && { heldOut: heldOutBy(valuesOf('part', part, parts.join(' or '))) }),
    ...(header.stratum !== undefined && { strata: valuesOf('stratum', (text) => text || undefined, 'a name') }),
  }
}

const heldOutBy = (found: readonly (typeof parts)[number][]): Int32Array =>
  Int32Array.from(found.flatMap((part, row) => (part === 'validation' ? [row] : [])))
