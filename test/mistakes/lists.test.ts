import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { readCifar, readList } from '../../lib/index.js'
import { newFolder } from '../setup/folder.js'
import { type ProgramMistake, programMistakes } from './mistake.js'

/** A mistake in a list of images, in this line of it. */
const ofList = (name: string, content: string, line: number, problem: string, cure: string): ProgramMistake => ({
  name,
  make: () => {
    const file = path.join(newFolder(), 'list.csv')
    writeFileSync(file, content)
    return readList(file)
  },
  code: 'FILE_FORMAT',
  problem: [`list.csv, line ${line}: `, problem],
  cure: [cure],
})

const header = 'a header that names the columns of path (path, file'

programMistakes('a list of images', [
  ofList('a header with an unknown name of the label', 'path,species\na.jpg,cat\n', 1, "found 'path, species'", header),
  ofList('a header of unknown names', 'img,kind\na.jpg,cat\n', 1, "found 'img, kind'", header),
  ofList('an index as the first column', 'id,img,kind\n0,a.jpg,cat\n', 1, "found 'id, img, kind'", header),
  ofList(
    'more columns without a header',
    'a.jpg,cat,640\nb.jpg,dog,640\n',
    1,
    'Expected 2 fields (path and label) but found 3',
    header,
  ),
  ofList(
    'a separator in a label',
    'path,label\na.jpg,cat, small\n',
    2,
    'Expected 2 fields but found 3',
    'put fields with separators in quotes',
  ),
  ofList(
    'an address',
    'https://example.org/a.jpg,cat\n',
    1,
    'the address https://example.org/a.jpg',
    'download the images first',
  ),
  ofList(
    'paths from another folder',
    'package.json,cat\n',
    1,
    'package.json is there from the present folder',
    `move the list to ${process.cwd()}`,
  ),
])

programMistakes('files that are cut off, or folders', [
  {
    name: 'a folder as a list',
    make: () => readList(newFolder()),
    code: 'FILE_FORMAT',
    problem: ['it is a folder'],
    cure: ['Expected a file'],
  },
  {
    name: 'a gzip file without its end',
    make: () => {
      const file = path.join(newFolder(), 'images.gz')
      writeFileSync(file, gzipSync(Buffer.alloc(5000, 'abc')).subarray(0, -9))
      return readCifar(file)
    },
    code: 'FILE_FORMAT',
    problem: ['images.gz', 'unpacking it failed'],
    cure: ['copy or download it again'],
  },
])
