import path from 'node:path'
import { VggError } from '../../error.js'
import { exists } from '../../files/not-found.js'
import { readRegularFile } from '../../files/regular-file.js'
import { likelyMeant } from '../../misspelling.js'
import { filePath, readOptions, shorten } from '../../options.js'
import { contentText } from '../images/formats.js'
import { fileError } from './file-error.js'
import { type PartOptions, type PhotoList, type PhotoParts, partChecks, splitPhotos } from './photo-list.js'
import { isImageName } from './walk.js'

/** One line of a list. */
interface Row {
  readonly fields: readonly string[]
  /** Line number from 1; the first line of a row that spans several. */
  readonly line: number
}

const pathNames = ['path', 'file', 'filename', 'file_name', 'image']
const labelNames = ['label', 'class', 'category', 'target']

/** Largest number of classes if labels are numbers. A larger label is treated as a mistake. */
const mostClasses = 65536

/** Limits of a list and of a row. ImageNet's 1.3 million images take 80 MB; the largest list takes 2 GB of memory. */
const most = { bytes: 2 ** 28, lines: 2 ** 22, fields: 1000 } as const

const at = (file: string, line: number, message: string): VggError =>
  new VggError('FILE_FORMAT', `${file}, line ${line}: ${message}`)

/** Splits a text into rows of fields (RFC 4180). A quoted field may contain separators, line ends and doubled quotes. */
function* rowsOf(content: string, separator: string, file: string): Generator<Row> {
  let line = 1
  let position = 0
  const quoted = (): string => {
    const opened = line
    let field = ''
    for (position += 1; ; position++) {
      const character = content[position]
      if (character === undefined) throw at(file, opened, 'Expected a closing quote but the file ends')
      if (character === '\n') line += 1
      if (character !== '"') field += character
      else if (content[position + 1] === '"') {
        field += '"'
        position += 1
      } else break
    }
    position += 1
    return field
  }
  const plain = (): string => {
    const start = position
    while (position < content.length && content[position] !== separator && content[position] !== '\n') position += 1
    return content.slice(start, position).replace(/\r$/, '')
  }
  while (position < content.length) {
    const fields: string[] = []
    const start = line
    for (;;) {
      const isQuoted = content[position] === '"'
      if (fields.length === most.fields) throw at(file, line, `Expected at most ${most.fields} fields but it has more`)
      fields.push(isQuoted ? quoted() : plain())
      if (isQuoted && content[position] === '\r') position += 1
      const ending = content[position]
      if (ending !== undefined && ending !== separator && ending !== '\n') {
        throw at(file, line, `Expected a separator after the closing quote but found '${ending}'`)
      }
      position += 1
      if (ending !== separator) break
    }
    line += 1
    if (fields.length > 1 || fields[0]?.trim() !== '') yield { fields, line: start }
  }
}

/** The usual separator of the extension, or another one if only that is in the first line, as in the lists of some spreadsheets. */
function separatorOf(file: string, content: string): string {
  const usual = path.extname(file).toLowerCase() === '.csv' ? ',' : '\t'
  const first = /\S.*/.exec(content)?.[0].replaceAll(/"[^"]*"/g, '') ?? ''
  return [usual, ',', '\t', ';'].find((separator) => first.includes(separator)) ?? usual
}

interface Entry {
  readonly source: string
  readonly label: string
  readonly line: number
}

const columns = `a header that names the columns of path (${pathNames.join(', ')}) and label (${labelNames.join(', ')})`

/** @throws FILE_FORMAT if the first row seems to be a header, by one of the names or because it alone names no image */
function checkNoHeader([first, second]: readonly (Row | undefined)[], known: boolean, file: string): void {
  if (first === undefined || first.fields.some((field) => isImageName(field.trim()))) return
  if (!known && second?.fields.some((field) => isImageName(field.trim())) !== true) return
  throw at(file, first.line, `Expected ${columns}, or no header, but found '${shorten(first.fields.join(', '))}'`)
}

/** Takes path and label from each row: from the columns that the header names, or from two fields without a header. */
function entriesOf(rows: Generator<Row>, file: string): Entry[] {
  const beginning = [rows.next().value, rows.next().value] as (Row | undefined)[]
  const [first] = beginning
  const heads = first?.fields.map((field) => field.trim().toLowerCase()) ?? []
  const pathColumn = heads.findIndex((head) => pathNames.includes(head))
  const labelColumn = heads.findIndex((head) => labelNames.includes(head))
  const headed = pathColumn !== -1 && labelColumn !== -1
  if (!headed) checkNoHeader(beginning, pathColumn !== -1 || labelColumn !== -1, file)
  const width = headed ? heads.length : 2
  // each label once in memory, however many rows have it
  const labels = new Map<string, string>()
  const entries: Entry[] = []
  const add = ({ fields, line }: Row): void => {
    if (fields.length !== width) {
      const cure =
        fields.length > width
          ? `; put fields with separators in quotes${headed ? '' : `, or begin with ${columns}`}`
          : ''
      const what = `${width} fields${headed ? '' : ' (path and label)'}`
      throw at(file, line, `Expected ${what} but found ${fields.length}${cure}`)
    }
    const source = fields[headed ? pathColumn : 0] ?? ''
    const label = (fields[headed ? labelColumn : 1] ?? '').trim()
    if (source === '' || source.includes('\0')) throw at(file, line, 'Expected the path of an image but found none')
    if (/^[a-z][a-z\d+.-]*:\/\//i.test(source)) {
      throw at(
        file,
        line,
        `Expected the path of a file but found the address ${shorten(source)}; download the images first`,
      )
    }
    if (label === '') throw at(file, line, 'Expected a label but found none')
    const known = labels.get(label) ?? label
    labels.set(known, known)
    entries.push({ source, label: known, line })
  }
  for (const row of headed ? beginning.slice(1) : beginning) if (row !== undefined) add(row)
  for (const row of rows) add(row)
  return entries
}

/** Checks that the first path, if it leads nowhere from the folder of the list, does not lead to a file from here. */
async function checkOrigin([first]: readonly Entry[], file: string): Promise<void> {
  if (first === undefined || path.isAbsolute(first.source)) return
  const position = path.join(path.dirname(file), first.source)
  if ((await exists(position)) || !(await exists(first.source))) return
  const message = `Expected a path from the folder of the list, but there is no ${position}, while ${first.source} is there from the present folder: move the list to ${process.cwd()}`
  throw at(file, first.line, message)
}

const isNumber = (label: string): boolean => /^\d+$/.test(label)

/** The class names of labels that are numbers: '0' to the largest number. */
function numberedClasses(entries: readonly Entry[], file: string): string[] {
  let largest = 0
  for (const { label, line } of entries) {
    if (!isNumber(label)) {
      throw at(file, line, `Expected a number for the label, as on the lines before, but found '${shorten(label)}'`)
    }
    if (Number(label) >= mostClasses) {
      throw at(file, line, `Expected a label from 0 to ${mostClasses - 1} but found ${label}`)
    }
    largest = Math.max(largest, Number(label))
  }
  return Array.from({ length: largest + 1 }, (_, index) => String(index))
}

function classesOf(entries: readonly Entry[], file: string): string[] {
  if (isNumber(entries[0]?.label ?? '')) return numberedClasses(entries, file)
  const number = entries.find(({ label }) => isNumber(label))
  if (number !== undefined) {
    throw at(file, number.line, `Expected a name for the label, as on the lines before, but found ${number.label}`)
  }
  return [...new Set(entries.map(({ label }) => label))].sort()
}

/** The class of each entry, found by name, otherwise by number. */
function labelsOf(entries: readonly Entry[], classNames: readonly string[], file: string): Int32Array {
  const numbers = new Map(classNames.map((name, number) => [name, number]))
  return Int32Array.from(entries, ({ label, line }) => {
    const number = numbers.get(label) ?? (isNumber(label) ? Number(label) : -1)
    if (number >= 0 && number < classNames.length) return number
    const meant = likelyMeant(label, classNames)
    const ending = meant === undefined ? '' : `; did you mean '${meant}'?`
    throw at(file, line, `Expected one of the ${classNames.length} classes but found '${shorten(label)}'${ending}`)
  })
}

/** Number of line feeds. */
function linesIn(bytes: Uint8Array): number {
  let lines = 0
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines += 1
  return lines
}

async function textOf(file: string): Promise<string> {
  const bytes = await readRegularFile(file, most.bytes).catch((error) => {
    throw error instanceof VggError ? error : fileError(error, file)
  })
  if (linesIn(bytes) > most.lines) {
    const message = `Expected a list of at most ${most.lines} lines for ${file} but it has more: divide it`
    throw new VggError('FILE_FORMAT', message)
  }
  const content = contentText(bytes)
  if (content !== undefined && content !== 'text' && bytes.length > 0) {
    throw new VggError('FILE_FORMAT', `Expected a list of images (text in UTF-8) for ${file} but it is ${content}`)
  }
  try {
    // Removes a byte order mark, and throws if the text is not UTF-8.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new VggError('FILE_FORMAT', `Expected text in UTF-8 for ${file}: save the list in UTF-8`, { cause: error })
  }
}

/**
 * Reads a list of images: a CSV or TSV file with the path and the label of one image per line. A header may name the two
 * columns (`path` and `label`); other columns are then ignored. Fields are separated by commas or tabs, or by semicolons if
 * the first line has no other separator. Paths are relative to the folder of the list. Labels are
 * either all names (the classes are in the order of their code units) or all class numbers from 0.
 *
 * The image files are not opened: a missing file is detected when it is read, and handled as `onUnreadable` specifies.
 *
 * @throws VggError FILE_NOT_FOUND, FILE_FORMAT with file and line, INVALID_ARGUMENT
 */
export async function readList(file: string, options: PartOptions = {}): Promise<PhotoParts> {
  filePath(file, 'file')
  const given = readOptions(options, 'readList options', partChecks)
  const content = await textOf(file)
  const entries = entriesOf(rowsOf(content, separatorOf(file, content), file), file)
  if (entries.length === 0)
    throw new VggError('FILE_FORMAT', `Expected the path and label of an image in ${file}, such as cats/1.jpg,cat`)
  await checkOrigin(entries, file)
  const classNames = given.classNames ?? classesOf(entries, file)
  const folder = path.dirname(file)
  const sources = entries.map(({ source }) => (path.isAbsolute(source) ? source : path.join(folder, source)))
  const labels = labelsOf(entries, classNames, file)
  const list: PhotoList = { sources, names: sources, labels, classNames }
  return splitPhotos(list, given.validation, given.seed)
}
