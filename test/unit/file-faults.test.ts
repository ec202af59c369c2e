import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { tidy } from '../../lib/checkpoint/checkpoint-folder.js'
import { writeError } from '../../lib/files/atomic-file.js'
import { exists } from '../../lib/files/not-found.js'
import { readRegularFile } from '../../lib/files/regular-file.js'
import { readRunFile } from '../../lib/run/folder.js'
import { newFolder } from '../setup/folder.js'

// test/safety/faults.test.ts found these.

test('a used up disk quota, for which libuv has no name', () => {
  const name = 'Unknown system error -122'
  const error = Object.assign(new Error(`${name}: ${name}, write`), { errno: -122, code: name })
  expect(writeError('model', error).message).toMatch(/^Could not write model: the disk quota is used up; free some/)
})

test('a run.json that cannot be read is not a missing one', async () => {
  const folder = newFolder()
  mkdirSync(path.join(folder, 'run.json'))
  await expect(readRunFile(folder)).rejects.toMatchObject({
    code: 'FILE_FORMAT',
    message: expect.stringMatching(/run\.json but it is a folder$/),
  })
})

test('a whole file is read, whatever its size', async () => {
  const folder = newFolder()
  for (const size of [0, 1, 300_000]) {
    const bytes = Buffer.alloc(size, 'vggnet')
    writeFileSync(path.join(folder, 'file'), bytes)
    expect((await readRegularFile(path.join(folder, 'file'), 2 ** 20)).equals(bytes)).toBe(true)
  }
})

test('temporary files of killed writers are removed, for all names or some', async () => {
  const folder = newFolder()
  const names = ['model', 'report.html'].map((name) => path.join(folder, `.${name}.1-0123456789ab.tmp`))
  const left = () => Promise.all(names.map(exists))
  for (const name of names) writeFileSync(name, '')
  await tidy(folder, ['model'])
  expect(await left()).toEqual([false, true])
  await tidy(folder)
  expect(await left()).toEqual([false, false])
})
