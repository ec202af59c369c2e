import path from 'node:path'
import { VggError } from '../../error.js'
import { blocksOf } from '../../files/regular-file.js'
import { contentText } from '../images/formats.js'
import { fileError } from './file-error.js'
import { most, type Row, RowParser } from './rows.js'

/** Most bytes of a list; ImageNet's 1.3 million images take 80 MB. */
const mostBytes = 2 ** 28

/** Size of a block of the file. The event loop runs between two blocks. */
const blockBytes = 2 ** 18

/** The usual separator of the extension, or another one if only that is in the first line, as in the lists of some spreadsheets. */
function separatorOf(file: string, content: string): string {
  const usual = path.extname(file).toLowerCase() === '.csv' ? ',' : '\t'
  const first = /\S.*/.exec(content)?.[0].replaceAll(/"[^"]*"/g, '') ?? ''
  return [usual, ',', '\t', ';'].find((separator) => first.includes(separator)) ?? usual
}

/** The text of a file, in parts; the last one is marked. */
async function* textsOf(file: string, what: string): AsyncGenerator<{ text: string; isLast: boolean }> {
  // removes a byte order mark, and throws if the text is not UTF-8
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decoded = (block?: Buffer): string => {
    try {
      return block === undefined ? decoder.decode() : decoder.decode(block, { stream: true })
    } catch (error) {
      throw new VggError('FILE_FORMAT', `Expected text in UTF-8 for ${file}: save it in UTF-8`, { cause: error })
    }
  }
  let isFirst = true
  try {
    for await (const block of blocksOf(file, mostBytes, blockBytes)) {
      const content = isFirst ? contentText(block) : undefined
      isFirst = false
      if (content !== undefined && content !== 'text' && block.length > 0) {
        throw new VggError('FILE_FORMAT', `Expected ${what} (text in UTF-8) for ${file} but it is ${content}`)
      }
      yield { text: decoded(block), isLast: false }
    }
  } catch (error) {
    throw fileError(error, file)
  }
  yield { text: decoded(), isLast: true }
}

/** Whether a text has a line that is not blank, with its end. */
function hasLine(text: string): boolean {
  const start = text.search(/\S/)
  return start !== -1 && text.indexOf('\n', start) !== -1
}

/**
 * Reads the rows of a CSV or TSV file, a block after the other. The event loop runs between two blocks. All rows of a block must be
 * taken before the next one.
 * @param what what the file should be, for messages: `a list of images`
 * @throws FILE_NOT_FOUND, FILE_FORMAT
 */
export async function* rowsOf(file: string, what: string): AsyncGenerator<Iterable<Row>> {
  let parser: RowParser | undefined
  let beginning = ''
  for await (const { text, isLast } of textsOf(file, what)) {
    beginning += text
    if (parser === undefined) {
      if (!isLast && beginning.length <= most.characters && !hasLine(beginning)) continue
      parser = new RowParser(separatorOf(file, beginning), file)
    }
    yield parser.rows(beginning, isLast)
    beginning = ''
  }
}
