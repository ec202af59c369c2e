import { existsSync, lstatSync, symlinkSync, utimesSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { removeForgotten } from '../../lib/platform/wheels/cache.mjs'
import { removePins } from '../../lib/platform/wheels/install.mjs'
import { newFolder, writeFiles } from './folder.js'

/** A folder that links in the cache lead to, with one file. */
function outside(): string {
  const folder = newFolder()
  writeFiles(folder, { kept: 'x'.repeat(1000) })
  return folder
}

test('links in removed folders are neither followed nor counted', async () => {
  const [cache, elsewhere] = [newFolder(), outside()]
  const [one, other] = ['cudnn-9.8.0-0123456789ab', 'cudnn-9.9.0-0123456789ab']
  writeFiles(cache, { [`${one}/lib/file`]: 'four' })
  symlinkSync('..', path.join(cache, one, 'lib/up'))
  symlinkSync(elsewhere, path.join(cache, one, 'lib/out'))
  symlinkSync(elsewhere, path.join(cache, other))
  const links = ['lib/up', 'lib/out'].map((name) => lstatSync(path.join(cache, one, name)).size)
  const { removed } = await removePins(cache, ['cudnn'])
  expect(removed).toEqual([
    { folder: path.join(cache, one), bytes: 4 + (links[0] ?? 0) + (links[1] ?? 0) },
    { folder: path.join(cache, other), bytes: elsewhere.length },
  ])
  for (const name of [one, other]) expect(existsSync(path.join(cache, name))).toBe(false)
  expect(existsSync(path.join(elsewhere, 'kept'))).toBe(true)
})

test('leftovers of a killed install are removed, and the targets of links in them are kept', () => {
  const [cache, elsewhere] = [newFolder(), outside()]
  writeFiles(cache, { '.unfinished-x/file': '' })
  symlinkSync(elsewhere, path.join(cache, '.unfinished-x/out'))
  utimesSync(path.join(cache, '.unfinished-x'), 0, 0)
  removeForgotten(cache)
  expect(existsSync(path.join(cache, '.unfinished-x'))).toBe(false)
  expect(existsSync(path.join(elsewhere, 'kept'))).toBe(true)
})
