// Folders of images that somebody else made, by fast-check: links, loops, odd names, pipes, folders that may not be read. They are
// read, or refused with a VggError, and so are their images; nothing waits for ever.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { imageBytes } from '../../lib/data/dataset.js'
import { readFolder } from '../../lib/data/sources/folder.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { VggError } from '../../lib/error.js'
import { newFolder } from '../setup/folder.js'
import { casesOf, seed } from './cases.js'

const names = [
  'a',
  'b',
  'c',
  'train',
  'val',
  '__proto__',
  'constructor',
  '.hidden',
  '-rf',
  ' ',
  '\n',
  '\u001b[2J\u009b',
  'a\u0308',
  '%2e',
]
const files = ['1.jpg', '2.PNG', '.jpg', 'x.jpg.exe', 'run.json', 'log.jsonl', 'n\n.png', `${'x'.repeat(251)}.png`]
/** A name that is not UTF-8. */
const bytes = 'latin1:\xff\xfe'
const targets = [
  '.',
  '..',
  '../..',
  'a',
  '../a',
  '../b/1.jpg',
  '1.jpg',
  'nowhere',
  '/',
  '/dev/zero',
  '/dev/null',
  '/proc/self/fd',
].concat(['/proc/self/root', '/proc/self/cwd', '../c/../a', './././b'])

interface Entry {
  readonly folders: readonly string[]
  readonly name: string
  readonly content: string
}

const entry: fc.Arbitrary<Entry> = fc.record({
  folders: fc.array(fc.constantFrom(...names, bytes), { minLength: 1, maxLength: 3 }),
  name: fc.constantFrom(...files, ...names, bytes),
  content: fc.oneof(
    { weight: 4, arbitrary: fc.constant('image') },
    { weight: 3, arbitrary: fc.constantFrom(...targets).map((target) => `link ${target}`) },
    { weight: 2, arbitrary: fc.constantFrom('text', 'empty', 'folder', 'pipe', 'closed folder', 'closed file') },
  ),
})

const image = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#123' } })
  .png()
  .toBuffer()

const asBytes = (name: string): Buffer =>
  name.startsWith('latin1:') ? Buffer.from(name.slice('latin1:'.length), 'latin1') : Buffer.from(name)

const makers: Readonly<Record<string, (file: Buffer) => unknown>> = {
  image: (file) => writeFileSync(file, image),
  text: (file) => writeFileSync(file, '<html>'),
  empty: (file) => writeFileSync(file, ''),
  folder: (file) => mkdirSync(file),
  pipe: (file) => spawnSync('mkfifo', [file.toString('latin1')]),
  'closed folder': (file) => mkdirSync(file, { mode: 0 }),
  'closed file': (file) => writeFileSync(file, image, { mode: 0 }),
}

/** Makes an entry, unless another one is in its way. */
function make(folder: string, { folders, name, content }: Entry): void {
  let at = Buffer.from(folder)
  try {
    for (const one of [...folders, name]) {
      at = Buffer.concat([at, Buffer.from('/'), asBytes(one)])
      if (one !== name || folders.includes(name)) mkdirSync(at, { recursive: true })
    }
    const maker = makers[content] ?? ((file: Buffer) => symlinkSync(content.replace('link ', ''), file))
    maker(at)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
  }
}

const codes = ['FILE_FORMAT', 'FILE_NOT_FOUND', 'INVALID_ARGUMENT']

/** Reads a folder and its images. @returns the number of images, or the code of the error */
async function readAll(folder: string): Promise<number | string> {
  try {
    const { training } = await readFolder(folder, { validation: 0.5, seed: 1, emptyClasses: 'skip' })
    const data = photoDataset(training, { crop: 4, smallestSide: 4, onUnreadable: 'skip' })
    expect(training.labels.every((label) => label >= 0 && label < training.classNames.length)).toBe(true)
    const indices = Int32Array.from({ length: data.count }, (_, index) => index)
    const failures = await data.read(indices, new Uint8Array(data.count * imageBytes(data)))
    for (const { name } of failures) expect(training.names).toContain(name)
    return data.count - failures.length
  } catch (error) {
    if (error instanceof VggError && codes.includes(error.code)) return error.code
    throw error
  }
}

test('a hostile folder is read or refused, also by a user who may not read all of it', async () => {
  const home = newFolder()
  chmodSync(home, 0o755)
  const folder = path.join(home, 'images')
  const isRoot = process.geteuid?.() === 0
  let images = 0
  const warnings: string[] = []
  const listen = ({ message }: Error) => warnings.push(message)
  const usual = process.listeners('warning')
  process.removeAllListeners('warning').on('warning', listen)
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 12 }), fc.boolean(), async (entries, asOther) => {
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder)
      for (const name of ['a', 'b']) make(folder, { folders: [name], name: '1.jpg', content: 'image' })
      for (const one of entries) make(folder, one)
      if (asOther && isRoot) process.seteuid?.(65_534)
      try {
        const found = await readAll(folder)
        if (typeof found === 'number') images += found
      } finally {
        if (asOther && isRoot) process.seteuid?.(0)
      }
    }),
    { seed, numRuns: casesOf({ sample: 100, whole: 20_000 }), interruptAfterTimeLimit: 3_600_000 },
  )
  process.removeAllListeners('warning')
  for (const one of usual) process.on('warning', one)
  expect(images).toBeGreaterThan(0)
  expect(warnings.filter((message) => /[^\P{Cc}\n]/u.test(message))).toEqual([])
}, 7_200_000)
