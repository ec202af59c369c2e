import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { imageBytes } from '../../lib/data/dataset.js'
import { imageFilesBelow, readFolder } from '../../lib/data/sources/folder.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import type { PhotoList } from '../../lib/data/sources/photo-list.js'
import { newFolder, writeFiles } from '../setup/folder.js'
import { writePhotos } from '../setup/photos.js'

/** Creates a folder with these files. They are empty, because none is opened. */
function folderOf(...names: readonly string[]): string {
  const folder = newFolder()
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, ''])))
  return folder
}

/** The list as `class: path` lines, relative to the folder. */
const linesOf = (list: PhotoList | undefined, folder: string): string[] =>
  (list?.names ?? []).map(
    (name, index) => `${list?.classNames[list.labels[index] ?? -1]}: ${path.relative(folder, name)}`,
  )

const faultOf = (folder: string) =>
  readFolder(folder).then(
    () => 'read',
    (error: Error & { code: string }) => error,
  )

describe('a folder for each class', () => {
  test('classes and images are in the order of their code units in every locale', async () => {
    const folder = folderOf('b/2.jpg', 'b/10.png', 'Z/1.JPEG', 'ä/1.webp', 'a/x.tif', '10/1.jpg', '9/1.jpg')
    const { training, validation, ignored } = await readFolder(folder)
    expect(training.classNames).toEqual(['10', '9', 'Z', 'a', 'b', 'ä'])
    expect(linesOf(training, folder)).toEqual([
      '10: 10/1.jpg',
      '9: 9/1.jpg',
      'Z: Z/1.JPEG',
      'a: a/x.tif',
      'b: b/10.png',
      'b: b/2.jpg',
      'ä: ä/1.webp',
    ])
    expect([validation, ignored]).toEqual([undefined, 0])
  })

  test('sub-folders of a class are read, other files are ignored and counted', async () => {
    const folder = folderOf('a/1.jpg', 'a/deep/er/2.jpg', 'b/3.jpg', 'b/Thumbs.db', 'b/.DS_Store', 'b/._3.jpg')
    writeFiles(folder, { 'a/deep/notes.txt': '', 'readme.md': '', 'stray.jpg': '', '.git/x/1.jpg': '' })
    const { training, ignored } = await readFolder(folder)
    expect(linesOf(training, folder)).toEqual(['a: a/1.jpg', 'a: a/deep/er/2.jpg', 'b: b/3.jpg'])
    // Thumbs.db, .DS_Store, ._3.jpg, notes.txt, readme.md, stray.jpg and the folder .git
    expect(ignored).toBe(7)
  })

  test('links to files and folders are followed, a broken link is a missing image, a pipe is ignored', async () => {
    const elsewhere = folderOf('far/1.jpg', 'far/2.jpg', 'single.jpg')
    const folder = folderOf('a/0.jpg', 'b/0.jpg')
    symlinkSync(path.join(elsewhere, 'far'), path.join(folder, 'c'))
    symlinkSync(path.join(elsewhere, 'single.jpg'), path.join(folder, 'a', 'linked.jpg'))
    symlinkSync('nowhere', path.join(folder, 'b', 'z.jpg'))
    execFileSync('mkfifo', [path.join(folder, 'b', 'pipe.jpg')])
    const { training, ignored } = await readFolder(folder)
    expect(linesOf(training, folder)).toEqual([
      'a: a/0.jpg',
      'a: a/linked.jpg',
      'b: b/0.jpg',
      'b: b/z.jpg',
      'c: c/1.jpg',
      'c: c/2.jpg',
    ])
    expect(ignored).toBe(1)
  })

  test('a stratified part is held out, depending on the seed', async () => {
    const names = ['a', 'b'].flatMap((label) =>
      Array.from({ length: label === 'a' ? 20 : 10 }, (_, i) => `${label}/${i}.jpg`),
    )
    const folder = folderOf(...names)
    const { training, validation } = await readFolder(folder, { validation: 0.2, seed: 5 })
    expect([...(validation?.labels ?? [])]).toEqual([0, 0, 0, 0, 1, 1])
    expect(new Set([...training.names, ...(validation?.names ?? [])]).size).toBe(30)
    expect((await readFolder(folder, { validation: 0.2, seed: 5 })).validation).toEqual(validation)
    expect((await readFolder(folder, { validation: 0.2, seed: 6 })).validation).not.toEqual(validation)
  })

  test('the images found can be read', async () => {
    const folder = newFolder()
    await writePhotos(folder, ['cat/1.jpg', 'cat/2.webp', 'dog/1.png'])
    const data = photoDataset((await readFolder(folder)).training, { crop: 8 })
    const into = new Uint8Array(3 * imageBytes(data))
    expect(await data.read(Int32Array.of(0, 1, 2), into)).toEqual([])
    expect(
      [into[0], into[1], into[2]].map((value, index) => Math.abs((value ?? 99) - ([0, 0, 90][index] ?? 0)) < 4),
    ).toEqual([true, true, true])
    expect([...into.subarray(2 * imageBytes(data), 2 * imageBytes(data) + 3)]).toEqual([74, 118, 90])
  })
})

describe('train/ and val/', () => {
  test.each(['val', 'validation', 'valid', 'test', 'Val'])('train/ and %s/', async (name) => {
    const folder = folderOf('train/a/1.jpg', 'train/b/1.jpg', 'train/b/2.jpg', `${name}/a/9.jpg`, `${name}/b/9.jpg`)
    writeFiles(folder, { 'notes/x.txt': '' })
    const { training, validation } = await readFolder(folder, { validation: 0.5 })
    expect(linesOf(training, folder)).toEqual(['a: train/a/1.jpg', 'b: train/b/1.jpg', 'b: train/b/2.jpg'])
    expect(linesOf(validation, folder)).toEqual([`a: ${name}/a/9.jpg`, `b: ${name}/b/9.jpg`])
  })

  test('val/ comes before test/, and train/ alone is divided', async () => {
    const both = folderOf(...['train', 'val', 'test'].flatMap((part) => [`${part}/a/1.jpg`, `${part}/b/1.jpg`]))
    expect(linesOf((await readFolder(both)).validation, both)).toEqual(['a: val/a/1.jpg', 'b: val/b/1.jpg'])
    const alone = folderOf('train/a/1.jpg', 'train/b/1.jpg')
    const parts = await readFolder(alone, { validation: 0.5 })
    expect([parts.training.names, parts.validation?.names].map((names) => names?.length)).toEqual([1, 1])
  })

  test('among other classes train/ is a class', async () => {
    const folder = folderOf('car/1.jpg', 'plane/1.jpg', 'train/1.jpg')
    expect((await readFolder(folder)).training.classNames).toEqual(['car', 'plane', 'train'])
  })

  test('classes that only one part has are an error', async () => {
    const folder = folderOf('train/a/1.jpg', 'train/b/1.jpg', 'train/c/1.jpg', 'val/a/1.jpg', 'val/d/1.jpg')
    expect(await faultOf(folder)).toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(/training part in .*val too but it lacks b, c and also has d/),
    })
  })

  test('a class without an image is an error in train/, not in val/', async () => {
    const folder = folderOf('train/a/1.jpg', 'train/b/1.jpg', 'val/a/1.jpg', 'val/b/x.txt')
    expect((await readFolder(folder)).validation?.classNames).toEqual(['a', 'b'])
    rmSync(path.join(folder, 'train/b/1.jpg'))
    expect(await faultOf(folder)).toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(/b has none/) })
  })
})

describe('the classes of a model', () => {
  test('give the labels; missing classes are allowed, other classes are an error', async () => {
    const folder = folderOf('b/1.jpg', 'c/1.jpg')
    const { training } = await readFolder(folder, { classNames: ['c', 'a', 'b'] })
    expect([[...training.labels], training.classNames]).toEqual([
      [2, 0],
      ['c', 'a', 'b'],
    ])
    const error = { code: 'FILE_FORMAT', message: expect.stringMatching(/the model's but found c/) }
    await expect(readFolder(folder, { classNames: ['a', 'b'] })).rejects.toMatchObject(error)
  })
})

describe('invalid folders are rejected', () => {
  test.each([
    [
      'no sub-folder',
      ['1.jpg', '2.jpg'],
      /Expected a sub-folder for each class .* but it has no sub-folder and 2 images/,
    ],
    ['nothing', ['.hidden'], /no sub-folder and no image/],
    ['one class', ['only/1.jpg'], /in .* at least two classes, but found only only/],
    ['no image', ['a/1.txt', 'b/2.txt'], /Expected images in the folders of .* but found none/],
    ['an empty class', ['a/1.jpg', 'b/2.txt'], /images of every class in .* but b has none/],
    ['train/ without classes', ['train/1.jpg', 'val/a/1.jpg'], /sub-folder for each class in .*train /],
    ['val/ without classes', ['train/a/1.jpg', 'train/b/1.jpg', 'val/1.jpg'], /sub-folder for each class in .*val /],
  ])('%s', async (_name, names, message) => {
    expect(await faultOf(folderOf(...names))).toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(message),
    })
  })

  test('a missing folder, a file and invalid options are rejected', async () => {
    const folder = newFolder()
    expect(await faultOf(path.join(folder, 'none'))).toMatchObject({ code: 'FILE_NOT_FOUND' })
    writeFileSync(path.join(folder, 'file'), '')
    expect(await faultOf(path.join(folder, 'file'))).toMatchObject({ code: 'FILE_FORMAT' })
    mkdirSync(path.join(folder, 'a'))
    await expect(readFolder(folder, { validation: 1 })).rejects.toThrow(/validation/)
    await expect(readFolder(folder, { sed: 1 } as object)).rejects.toThrow(/did you mean 'seed'/)
    await expect(readFolder('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe("emptyClasses: 'skip'", () => {
  test('an empty class is left out and named, and the others are numbered without it', async () => {
    const folder = folderOf('a/1.jpg', 'b/readme.txt', 'c/1.jpg', 'd/deep/.keep')
    const parts = await readFolder(folder, { emptyClasses: 'skip' })
    expect(parts.skippedClasses).toEqual(['b', 'd'])
    expect([parts.training.classNames, [...parts.training.labels]]).toEqual([
      ['a', 'c'],
      [0, 1],
    ])
    expect((await readFolder(folderOf('a/1.jpg', 'b/1.jpg'))).skippedClasses).toEqual([])
  })

  test('val/ has the classes of train/: those left out there are left out here, others may be empty', async () => {
    const files = ['train/a/1.jpg', 'train/b/1.jpg', 'train/c/x.txt', 'val/a/x.txt', 'val/b/1.jpg', 'val/c/x.txt']
    const { training, validation } = await readFolder(folderOf(...files), { emptyClasses: 'skip' })
    expect([training.classNames, validation?.classNames, [...(validation?.labels ?? [])]]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      [1],
    ])
    const images = await readFolder(folderOf(...files, 'val/c/1.jpg'), { emptyClasses: 'skip' }).catch(String)
    expect(images).toMatch(/also has c/)
  })

  test("a model's class stays, any other empty folder is left out, and one class alone is refused", async () => {
    const folder = folderOf('a/1.jpg', 'b/x.txt', 'notes/x.txt')
    const options = { classNames: ['b', 'a'], emptyClasses: 'skip' } as const
    const { training, skippedClasses } = await readFolder(folder, options)
    expect([training.classNames, [...training.labels], skippedClasses]).toEqual([['b', 'a'], [1], ['notes']])
    expect(await readFolder(folder, { emptyClasses: 'skip' }).catch(String)).toMatch(/found only a/)
    const one = await readFolder(folder, { emptyClasses: 'skip', leastClasses: 1 })
    expect([one.training.classNames, one.training.sources.length]).toEqual([['a'], 1])
  })
})

test('image files are listed without classes, those of the folder first', async () => {
  const folder = folderOf('b/c/2.png', 'b/1.JPG', 'z.jpg', 'a/x.txt', '.hidden/1.jpg')
  symlinkSync(folder, path.join(folder, 'b', 'loop'))
  const found = (await imageFilesBelow(folder)).map((file) => path.relative(folder, file))
  expect(found).toEqual(['z.jpg', 'b/1.JPG', 'b/c/2.png'])
  await expect(imageFilesBelow(path.join(folder, 'a'))).rejects.toMatchObject({ code: 'FILE_FORMAT' })
  await expect(imageFilesBelow(path.join(folder, 'nothing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
})
