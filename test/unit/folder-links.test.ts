import { symlinkSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { duplicatesIn, fileContents } from '../../lib/check/duplicates.js'
import { type FolderParts, readFolder } from '../../lib/data/sources/folder.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { newFolder, writeFiles } from '../setup/folder.js'

/** Creates a folder with these files. They are empty, because none is opened. */
function folderOf(...names: readonly string[]): string {
  const folder = newFolder()
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, name])))
  return folder
}

const link = (folder: string, name: string, target: string) => symlinkSync(target, path.join(folder, name))

/** Images as paths relative to the folder, those of class `label`. */
function imagesOf({ training }: FolderParts, folder: string, label: string): string[] {
  const index = training.classNames.indexOf(label)
  return training.names.filter((_, at) => training.labels[at] === index).map((name) => path.relative(folder, name))
}

/** Skipped links as [path relative to the folder, reason]. */
const skippedOf = ({ skippedLinks }: FolderParts, folder: string) =>
  skippedLinks.map(({ path: file, reason }) => [path.relative(folder, file), reason.replaceAll(folder, '')])

/** The warnings that a call emits. */
async function warningsOf(call: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = []
  const listen = ({ name, message }: Error) => warnings.push(`${name}: ${message}`)
  // warnings of earlier calls may still arrive
  await new Promise(setImmediate)
  process.on('warning', listen)
  try {
    await call().catch(() => undefined)
    await new Promise(setImmediate)
  } finally {
    process.off('warning', listen)
  }
  return warnings
}

describe('a link to a folder', () => {
  test.each([
    ['the folder of all classes', '..'],
    ['a folder above it', '../..'],
    ['the root', '/'],
    ['the class itself', '.'],
  ])('to %s is not followed, and named', async (_name, target) => {
    const folder = folderOf('cat/1.jpg', 'dog/2.jpg')
    link(folder, 'dog/up', target)
    const found = await readFolder(folder)
    expect(imagesOf(found, folder, 'cat')).toEqual(['cat/1.jpg'])
    expect(imagesOf(found, folder, 'dog')).toEqual(['dog/2.jpg'])
    const reason = expect.stringMatching(/^it leads to .*, a folder that contains it$/)
    expect(skippedOf(found, folder)).toEqual([['dog/up', reason]])
    const [warning, ...more] = await warningsOf(() => readFolder(folder))
    expect(more).toEqual([])
    expect(warning).toMatch(/^VggDataWarning: Links that were not followed: .*\/dog\/up \(it leads to /)
  })

  test('of another class is not followed, in either order of the classes', async () => {
    const folder = folderOf('ant/1.jpg', 'cat/2.jpg', 'cat/sub/3.jpg', 'dog/4.jpg')
    link(folder, 'ant/all', '../cat')
    link(folder, 'ant/part', '../cat/sub')
    link(folder, 'dog/part', '../cat/sub')
    const found = await readFolder(folder)
    expect(found.training.names).toHaveLength(4)
    expect(imagesOf(found, folder, 'cat')).toEqual(['cat/2.jpg', 'cat/sub/3.jpg'])
    expect(skippedOf(found, folder)).toEqual([
      ['ant/all', 'it is the folder /cat, which was read already'],
      ['ant/part', 'it is the folder /cat/sub, which was read already'],
      ['dog/part', 'it is the folder /cat/sub, which was read already'],
    ])
  })

  test('outside is followed once; a class that is such a link takes precedence over a link within a class', async () => {
    const outside = folderOf('far/1.jpg', 'far/deep/2.jpg', 'other/3.jpg')
    const folder = folderOf('a/0.jpg')
    link(folder, 'a/far', path.join(outside, 'far'))
    link(folder, 'a/one', path.join(outside, 'other'))
    link(folder, 'a/two', path.join(outside, 'other'))
    link(folder, 'b', path.join(outside, 'far'))
    const found = await readFolder(folder)
    expect(imagesOf(found, folder, 'a')).toEqual(['a/0.jpg', 'a/one/3.jpg'])
    expect(imagesOf(found, folder, 'b')).toEqual(['b/1.jpg', 'b/deep/2.jpg'])
    expect(skippedOf(found, folder)).toEqual([
      ['a/far', 'it is the folder /b, which was read already'],
      ['a/two', 'it is the folder /a/one, which was read already'],
    ])
  })

  test('that contains a folder which was read already leaves that folder out', async () => {
    const outside = folderOf('x.jpg', 'inner/y.jpg')
    link(outside, 'up', '.')
    const folder = folderOf('a/0.jpg', 'b/0.jpg')
    link(folder, 'a/inner', path.join(outside, 'inner'))
    link(folder, 'b/outside', outside)
    const found = await readFolder(folder)
    expect(imagesOf(found, folder, 'a')).toEqual(['a/0.jpg', 'a/inner/y.jpg'])
    expect(imagesOf(found, folder, 'b')).toEqual(['b/0.jpg', 'b/outside/x.jpg'])
    expect(skippedOf(found, folder).map(([name]) => name)).toEqual(['b/outside/inner', 'b/outside/up'])
  })

  test('a class that is a link to another class has no images, which is an error after the warning', async () => {
    const folder = folderOf('cat/1.jpg', 'dog/2.jpg')
    link(folder, 'puppy', 'dog')
    await expect(readFolder(folder)).rejects.toThrow(/images of every class in .* but puppy has none/)
    expect(await warningsOf(() => readFolder(folder))).toEqual([
      `VggDataWarning: Links that were not followed: ${folder}/puppy (it is the folder ${folder}/dog, which was read already)`,
    ])
  })

  test('in both parts: each part follows it, and skipped links of both are named', async () => {
    const outside = folderOf('1.jpg')
    const folder = folderOf('train/a/1.jpg', 'train/b/1.jpg', 'val/a/2.jpg', 'val/b/2.jpg')
    for (const part of ['train', 'val']) {
      link(folder, `${part}/a/more`, outside)
      link(folder, `${part}/b/up`, '..')
    }
    const found = await readFolder(folder)
    expect([found.training.names.length, found.validation?.names.length]).toEqual([3, 3])
    expect(skippedOf(found, folder).map(([name]) => name)).toEqual(['train/b/up', 'val/b/up'])
  })
})

test('broken links: to each other, to themselves, to a missing target', async () => {
  const folder = folderOf('a/0.jpg', 'b/0.jpg')
  link(folder, 'a/one', 'two')
  link(folder, 'a/two', 'one')
  link(folder, 'b/self', 'self')
  link(folder, 'b/gone', 'nowhere')
  link(folder, 'b/z.jpg', 'z.jpg')
  link(folder, 'loop', 'loop')
  const found = await readFolder(folder)
  // a broken link with the name of an image is a missing image
  expect(found.training.names.map((name) => path.relative(folder, name))).toEqual(['a/0.jpg', 'b/0.jpg', 'b/z.jpg'])
  expect(skippedOf(found, folder)).toEqual([
    ['loop', 'it leads back to itself'],
    ['a/one', 'it leads back to itself'],
    ['a/two', 'it leads back to itself'],
    ['b/gone', 'its target does not exist'],
    ['b/self', 'it leads back to itself'],
  ])
  expect(found.ignored).toBe(0)
})

test('links to files are followed, even repeatedly and out of the folder; the check reports repeated files', async () => {
  const outside = folderOf('single.jpg')
  const folder = folderOf('a/0.jpg', 'b/0.jpg')
  for (const name of ['a/x.jpg', 'a/y.jpg', 'b/x.jpg']) link(folder, name, path.join(outside, 'single.jpg'))
  const found = await readFolder(folder)
  expect(imagesOf(found, folder, 'a')).toEqual(['a/0.jpg', 'a/x.jpg', 'a/y.jpg'])
  expect(imagesOf(found, folder, 'b')).toEqual(['b/0.jpg', 'b/x.jpg'])
  expect(found.skippedLinks).toEqual([])
  const { training: files } = found
  const [contents = new Map()] = await fileContents([files], undefined, () => undefined)
  const part = { data: photoDataset(files, { crop: 8 }), contents, images: contents.size, files }
  const names = ['a/x.jpg', 'a/y.jpg', 'b/x.jpg'].map((name) => path.join(folder, name))
  expect(duplicatesIn(part, undefined)).toMatchObject({ repeated: 1, contradictory: [{ names }] })
})
