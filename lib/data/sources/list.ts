import path from 'node:path'
import { VggError } from '../../error.js'
import { exists } from '../../files/not-found.js'
import { likelyMeant } from '../../misspelling.js'
import { filePath, readOptions, shorten } from '../../options.js'
import { type PartOptions, type PhotoParts, partChecks, splitPhotos } from './photo-list.js'
import { at, type Row } from './rows.js'
import { rowsOf } from './table-file.js'
import { isImageName } from './walk.js'

/** Names of the column of paths. */
export const pathNames = ['path', 'file', 'filename', 'file_name', 'image']
const labelNames = ['label', 'class', 'category', 'target']

/** Largest number of classes. A larger label is treated as a mistake, and so are more labels. */
const mostClasses = 65536

const columns = `a header that names the columns of path (${pathNames.join(', ')}) and label (${labelNames.join(', ')})`

/** @throws FILE_FORMAT if the first row seems to be a header, by one of the names or because it alone names no image */
function checkNoHeader([first, second]: readonly (Row | undefined)[], known: boolean, file: string): void {
  if (first === undefined || first.fields.some((field) => isImageName(field.trim()))) return
  if (!known && second?.fields.some((field) => isImageName(field.trim())) !== true) return
  throw at(file, first.line, `Expected ${columns}, or no header, but found '${shorten(first.fields.join(', '))}'`)
}

/** A label of a list. */
interface Label {
  readonly text: string
  /** The number of labels before it. */
  readonly index: number
  /** Line number of the first row that has it. */
  readonly line: number
}

/** A copy of a text that keeps nothing else in memory. A part of a text keeps the whole of it. */
const compact = (text: string): string => Buffer.from(text).toString()

/** The rows of a list: path and label from the columns that the header names, or from two fields without a header. */
class Entries {
  readonly sources: string[] = []
  /** Each label once, in the order in which they occur. */
  readonly labels = new Map<string, Label>()
  /** The index of the label of each source. */
  #indices = new Int32Array(1024)
  /** The first path as it is in the list, with its line. */
  first: { readonly source: string; readonly line: number } | undefined
  readonly #file: string
  readonly #folder: string
  readonly #mostLabels: number
  #beginning: Row[] | undefined = []
  #isHeaded = false
  #width = 2
  #pathColumn = 0
  #labelColumn = 1

  constructor(file: string, mostLabels: number) {
    this.#file = file
    this.#folder = path.dirname(file)
    this.#mostLabels = mostLabels
  }

  get indices(): Int32Array {
    return this.#indices.subarray(0, this.sources.length)
  }

  add(row: Row): void {
    if (this.#beginning === undefined) this.#add(row)
    else if (this.#beginning.push(row) === 2) this.begin()
  }

  /** Decides by the first two rows, or fewer if there are no more, whether there is a header. */
  begin(): void {
    if (this.#beginning === undefined) return
    const beginning = this.#beginning
    this.#beginning = undefined
    const heads = beginning[0]?.fields.map((field) => field.trim().toLowerCase()) ?? []
    const pathColumn = heads.findIndex((head) => pathNames.includes(head))
    const labelColumn = heads.findIndex((head) => labelNames.includes(head))
    this.#isHeaded = pathColumn !== -1 && labelColumn !== -1
    if (this.#isHeaded) {
      ;[this.#pathColumn, this.#labelColumn, this.#width] = [pathColumn, labelColumn, heads.length]
    } else checkNoHeader(beginning, pathColumn !== -1 || labelColumn !== -1, this.#file)
    for (const row of this.#isHeaded ? beginning.slice(1) : beginning) this.#add(row)
  }

  #add({ fields, line }: Row): void {
    const refused = (message: string): VggError => at(this.#file, line, message)
    if (fields.length !== this.#width) {
      const cure =
        fields.length > this.#width
          ? `; put fields with separators in quotes${this.#isHeaded ? '' : `, or begin with ${columns}`}`
          : ''
      const what = `${this.#width} fields${this.#isHeaded ? '' : ' (path and label)'}`
      throw refused(`Expected ${what} but found ${fields.length}${cure}`)
    }
    const source = fields[this.#pathColumn] ?? ''
    const label = (fields[this.#labelColumn] ?? '').trim()
    if (source === '' || source.includes('\0')) throw refused('Expected the path of an image but found none')
    if (/^[a-z][a-z\d+.-]*:\/\//i.test(source)) {
      throw refused(`Expected the path of a file but found the address ${shorten(source)}; download the images first`)
    }
    if (label === '') throw refused('Expected a label but found none')
    this.first ??= { source, line }
    if (this.sources.length === this.#indices.length) {
      const larger = new Int32Array(2 * this.#indices.length)
      larger.set(this.#indices)
      this.#indices = larger
    }
    this.#indices[this.sources.length] = (this.labels.get(label) ?? this.#newLabel(label, line)).index
    this.sources.push(compact(path.isAbsolute(source) ? source : path.join(this.#folder, source)))
  }

  #newLabel(label: string, line: number): Label {
    const index = this.labels.size
    if (index === this.#mostLabels) {
      throw at(this.#file, line, `Expected at most ${this.#mostLabels} different labels but found more`)
    }
    const text = compact(label)
    const added = { text, index, line }
    this.labels.set(text, added)
    return added
  }
}

/** Checks that the first path, if it leads nowhere from the folder of the list, does not lead to a file from here. */
async function checkOrigin({ first }: Entries, file: string): Promise<void> {
  if (first === undefined || path.isAbsolute(first.source)) return
  const position = path.join(path.dirname(file), first.source)
  if ((await exists(position)) || !(await exists(first.source))) return
  const message = `Expected a path from the folder of the list, but there is no ${position}, while ${first.source} is there from the present folder: move the list to ${process.cwd()}`
  throw at(file, first.line, message)
}

const isNumber = (label: string): boolean => /^\d+$/.test(label)

/** The class names of labels that are numbers: '0' to the largest number. */
function numberedClasses(labels: readonly Label[], file: string): string[] {
  let largest = 0
  for (const { text, line } of labels) {
    if (!isNumber(text)) {
      throw at(file, line, `Expected a number for the label, as on the lines before, but found '${shorten(text)}'`)
    }
    if (Number(text) >= mostClasses) {
      throw at(file, line, `Expected a label from 0 to ${mostClasses - 1} but found ${text}`)
    }
    largest = Math.max(largest, Number(text))
  }
  return Array.from({ length: largest + 1 }, (_, index) => String(index))
}

function classesOf(labels: readonly Label[], file: string): string[] {
  if (isNumber(labels[0]?.text ?? '')) return numberedClasses(labels, file)
  const number = labels.find(({ text }) => isNumber(text))
  if (number !== undefined) {
    throw at(file, number.line, `Expected a name for the label, as on the lines before, but found ${number.text}`)
  }
  return labels.map(({ text }) => text).sort()
}

/** The class of each label, found by name, otherwise by number. */
function classNumbers(labels: readonly Label[], classNames: readonly string[], file: string): number[] {
  const numbers = new Map(classNames.map((name, number) => [name, number]))
  return labels.map(({ text, line }) => {
    const number = numbers.get(text) ?? (isNumber(text) ? Number(text) : -1)
    if (number >= 0 && number < classNames.length) return number
    const meant = likelyMeant(text, classNames)
    const ending = meant === undefined ? '' : `; did you mean '${meant}'?`
    throw at(file, line, `Expected one of the ${classNames.length} classes but found '${shorten(text)}'${ending}`)
  })
}

async function entriesOf(file: string, mostLabels: number): Promise<Entries> {
  const entries = new Entries(file, mostLabels)
  for await (const rows of rowsOf(file, 'a list of images')) for (const row of rows) entries.add(row)
  entries.begin()
  return entries
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
  const entries = await entriesOf(file, Math.max(mostClasses, given.classNames?.length ?? 0))
  const { sources, indices } = entries
  if (sources.length === 0)
    throw new VggError('FILE_FORMAT', `Expected the path and label of an image in ${file}, such as cats/1.jpg,cat`)
  await checkOrigin(entries, file)
  const distinct = [...entries.labels.values()]
  const classNames = given.classNames ?? classesOf(distinct, file)
  const numbers = classNumbers(distinct, classNames, file)
  const labels = indices.map((index) => numbers[index] ?? -1)
  return splitPhotos({ sources, names: sources, labels, classNames }, given.validation, given.seed)
}
