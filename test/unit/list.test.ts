import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { readList } from '../../lib/data/sources/list.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { newFolder } from '../setup/folder.js'
import { writePhotos } from '../setup/photos.js'

function listFile(content: string | Uint8Array, name = 'list.csv'): string {
  const file = path.join(newFolder(), name)
  writeFileSync(file, content)
  return file
}

/** [path as in the file, class name] of every line. */
async function read(content: string, name?: string, options?: object): Promise<[string, string | undefined][]> {
  const file = listFile(content, name)
  const { training } = await readList(file, options)
  return training.names.map((position, index) => [
    path.relative(path.dirname(file), position),
    training.classNames[training.labels[index] ?? -1],
  ])
}

describe('readList', () => {
  test.each([
    ['plain', 'a/1.jpg,cat\nb.png,dog\n', 'l.csv'],
    ['without a last line end', 'a/1.jpg,cat\nb.png,dog', 'l.csv'],
    ['a header', 'path,label\na/1.jpg,cat\nb.png,dog\n', 'l.csv'],
    ['a header in another order, more columns', 'width,Label,File\n3,cat,a/1.jpg\n4,dog,b.png\n', 'l.csv'],
    ['CRLF, byte order mark, empty lines', '\ufeffpath,label\r\na/1.jpg,cat\r\n\r\n"b.png","dog"\r\n\r\n', 'l.csv'],
    ['tabs by extension', 'a/1.jpg\tcat\nb.png\tdog\n', 'l.tsv'],
    ['tabs by the first line', 'a/1.jpg\tcat\nb.png\tdog\n', 'l.txt'],
    ['commas by the first line', 'a/1.jpg,cat\nb.png,dog\n', 'l.txt'],
    ['semicolons, as spreadsheets write them', '\ufeffpath;label\r\na/1.jpg;cat\r\nb.png;dog\r\n', 'l.csv'],
    ['semicolons about quoted commas', '"a/1.jpg";"cat"\n"b.png";dog', 'l.csv'],
    ['tabs in spite of the extension', 'a/1.jpg\tcat\nb.png\tdog', 'l.csv'],
    ['blanks about labels', 'a/1.jpg, cat \nb.png,\tdog\n', 'l.csv'],
  ])('%s', async (_name, content, name) => {
    expect(await read(content, name)).toEqual([
      ['a/1.jpg', 'cat'],
      ['b.png', 'dog'],
    ])
  })

  test('quoted fields with separators, doubled quotes and line ends; quotes within a plain field are kept', async () => {
    expect(
      await read('"a,1.jpg",cat\n"a ""x"".jpg","big ""dog"", old"\n"two\nlines.jpg",cat\nplain"x.jpg,cat'),
    ).toEqual([
      ['a,1.jpg', 'cat'],
      ['a "x".jpg', 'big "dog", old'],
      ['two\nlines.jpg', 'cat'],
      ['plain"x.jpg', 'cat'],
    ])
    expect(await read('a,1.jpg\tcat, small\nb.jpg\tdog', 'l.tsv')).toEqual([
      ['a,1.jpg', 'cat, small'],
      ['b.jpg', 'dog'],
    ])
  })

  test('numbers are class numbers, names are in the order of their code units', async () => {
    const numbers = (await readList(listFile('a.jpg,2\nb.jpg,0\nc.jpg,07\n'))).training
    expect([[...numbers.labels], numbers.classNames]).toEqual([
      [2, 0, 7],
      ['0', '1', '2', '3', '4', '5', '6', '7'],
    ])
    const names = (await readList(listFile('a.jpg,b\nb.jpg,Z\nc.jpg,ä\nd.jpg,b\n'))).training
    expect([[...names.labels], names.classNames]).toEqual([
      [1, 0, 2, 1],
      ['Z', 'b', 'ä'],
    ])
  })

  test('a model’s classes: by name or number', async () => {
    const options = { classNames: ['dog', 'cat', '7'] }
    expect(await read('a.jpg,cat\nb.jpg,0\nc.jpg,7\n', 'l.csv', options)).toEqual([
      ['a.jpg', 'cat'],
      ['b.jpg', 'dog'],
      ['c.jpg', '7'],
    ])
    await expect(read('a.jpg,cat\nb.jpg,dgo\n', 'l.csv', options)).rejects.toThrow(
      /line 2: .*'dgo'; did you mean 'dog'/,
    )
    await expect(read('a.jpg,3\n', 'l.csv', options)).rejects.toThrow(/line 1: .*3 classes but found '3'/)
  })

  test('paths are relative to the list; a missing file is an error when it is read', async () => {
    const file = listFile('sub/1.jpg,a\n/nowhere/2.jpg,b\n')
    await writePhotos(path.dirname(file), ['sub/1.jpg'])
    const { training } = await readList(file)
    expect(training.names).toEqual([path.join(path.dirname(file), 'sub/1.jpg'), '/nowhere/2.jpg'])
    const data = photoDataset(training, { crop: 8, onUnreadable: 'skip' })
    const unreadable = await data.read(Int32Array.of(0, 1), new Uint8Array(2 * 192))
    expect(unreadable).toEqual([{ position: 1, name: '/nowhere/2.jpg', reason: 'no such file' }])
  })

  test('a list is read in blocks: rows, quoted fields, line ends and characters of several bytes may lie across two of them', async () => {
    const fields = (index: number): [string, string] => [
      `é${'x'.repeat(index % 97)}\n"${index}".jpg`,
      `\u{1F408},${index % 7}`,
    ]
    const quoted = (field: string) => `"${field.replaceAll('"', '""')}"`
    const entries = Array.from({ length: 20_000 }, (_, index) => fields(index))
    const rows = entries.map(
      ([source, label], index) => `${quoted(source)},${quoted(label)}${index % 2 ? '\n' : '\r\n'}`,
    )
    expect(await read(rows.join(''))).toEqual(entries)
    await expect(read(`${rows.join('')}a.jpg\n`)).rejects.toThrow(/line 40001: Expected 2 fields/)
    await expect(read(`${rows.join('')}"a.jpg\n`)).rejects.toThrow(
      /line 40001: Expected a closing quote but the file ends/,
    )
  })

  test('blank lines before the first row take nothing from the choice of the separator', async () => {
    expect(await read(`${' \n'.repeat(300_000)}a.jpg;cat\n`)).toEqual([['a.jpg', 'cat']])
  })

  test('a part is held out', async () => {
    const file = listFile(Array.from({ length: 40 }, (_, index) => `${index}.jpg,${index % 4}`).join('\n'))
    const { training, validation } = await readList(file, { validation: 0.5, seed: 1 })
    expect([...(validation?.labels ?? [])].filter((label) => label === 3)).toHaveLength(5)
    expect(training.names).toHaveLength(20)
  })

  test.each([
    ['one field', 'a.jpg,x\nb.jpg\n', /list\.csv, line 2: Expected 2 fields \(path and label\) but found 1/],
    ['three fields', 'a.jpg,x,y\n', /line 1: Expected 2 fields/],
    ['fewer than the header', 'id,path,label\n1,a.jpg,x\n2,b.jpg\n', /line 3: Expected 3 fields but found 2/],
    ['no path', 'a.jpg,x\n,y\n', /line 2: Expected the path/],
    ['a zero byte', 'a\0.jpg,x\n', /line 1: Expected the path/],
    ['no label', 'a.jpg,x\n\nb.jpg, \n', /line 3: Expected a label/],
    ['an open quote', 'a.jpg,x\nb.jpg,"y\nz\n', /line 2: Expected a closing quote/],
    [
      'text behind a quote',
      '"a\nb.jpg",x\n"b"c.jpg,y\n',
      /line 3: Expected a separator after the closing quote but found 'c'/,
    ],
    ['a name among numbers', 'a.jpg,1\nb.jpg,2\nc.jpg,two\n', /line 3: Expected a number .* found 'two'/],
    ['a number among names', 'a.jpg,x\nb.jpg,3\n', /line 2: Expected a name .* found 3/],
    ['a number that is no class', 'a.jpg,1\nb.jpg,20240131\n', /line 2: Expected a label from 0 to 65535/],
    ['a negative number', 'a.jpg,1\nb.jpg,-1\n', /line 2: Expected a number/],
    ['a long row', `a.jpg,x\n${'b'.repeat(2 ** 20)},x\n`, /line 2: Expected at most 1048576 characters in a row/],
    ['a quote without an end', `a.jpg,x\nb,"${'x\n'.repeat(2 ** 20)}`, /line 2: .*; is a closing quote missing\?/],
    [
      'a name for each image',
      Array.from({ length: 65_537 }, (_, index) => `a.jpg,x${index}`).join('\n'),
      /line 65537: Expected at most 65536 different labels/,
    ],
    ['nothing', '', /Expected the path and label/],
    ['a header alone', 'path,label\n', /Expected the path and label/],
    ['UTF-16', Buffer.from('\ufeffa.jpg,x\n', 'utf16le'), /but it is text in UTF-16: save it in UTF-8/],
  ])('%s is refused with file and line', async (_name, content, message) => {
    const file = listFile(content)
    const error = await readList(file).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(message) })
    expect((error as Error).message).toContain(file)
  })

  test('a missing file, a folder and invalid options are rejected', async () => {
    await expect(readList(path.join(newFolder(), 'none.csv'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(readList(newFolder())).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(readList(listFile('a,b'), { validaton: 0.1 } as object)).rejects.toThrow(/did you mean 'validation'/)
  })
})
