import { createHash } from 'node:crypto'
import { chmodSync, chownSync, existsSync, renameSync, statSync, symlinkSync, utimesSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cachedLibraries } from '../../lib/platform/cuda/cached.js'
import { isKnown, remember } from '../../lib/platform/load/binary-check.js'
import { cacheFolder, folderOf, makeFolder } from '../../lib/platform/wheels/cache.mjs'
import { installPin } from '../../lib/platform/wheels/install.mjs'
import { cudaPins, type Pin, pins } from '../../lib/platform/wheels/pins.mjs'
import { cacheExposure } from '../../lib/platform/wheels/private.mjs'
import { newFolder, writeFiles } from '../setup/folder.js'

const content = { 'libone.so.1': 'one', 'libtwo.so.1': 'the second' }
const libraries = Object.fromEntries(
  Object.entries(content).map(([name, text]) => [
    name,
    { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') },
  ]),
)
const wheel = { requirement: 'small==1.0', file: 'small-1.0.whl', bytes: 1, sha256: 'f'.repeat(64), take: 'small' }
const pin: Pin = { title: 'small 1.0', version: '1.0', unpackedBytes: 13, wheels: [wheel], libraries }

let cache: string
let folder: string
const at = (name: string): string => path.join(folder, 'lib', name)
const found = () => cachedLibraries(cache, { small: pin })
const fault = (): string => {
  const { folders, passedOver } = found()
  expect(folders).toEqual([])
  expect(passedOver).toHaveLength(1)
  return passedOver[0] ?? ''
}

beforeEach(() => {
  cache = path.join(newFolder(), 'cache')
  folder = folderOf(cache, 'small', pin)
  writeFiles(path.join(folder, 'lib'), content)
  for (const name of [cache, folder, path.join(folder, 'lib')]) chmodSync(name, 0o755)
  vi.stubEnv('VGGNET_CACHE', cache)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

describe('libraries in the cache', () => {
  test('are used if they are the pinned ones, which is examined once', () => {
    expect(found()).toEqual({ folders: [path.join(folder, 'lib')], passedOver: [] })
    expect(existsSync(path.join(cache, 'binaries.json'))).toBe(true)
    expect(statSync(path.join(cache, 'binaries.json')).mode & 0o777).toBe(0o600)
    expect(found().folders).toHaveLength(1)
  })

  test('are not used if their content was changed, also afterwards and with the old time', () => {
    expect(found().folders).toHaveLength(1)
    const { atime, mtime } = statSync(at('libone.so.1'))
    writeFiles(path.join(folder, 'lib'), { 'libone.so.1': 'eno' })
    utimesSync(at('libone.so.1'), atime, mtime)
    expect(fault()).toBe(
      `${at('libone.so.1')} is not the file that NVIDIA published: \`npx vggnet cuda remove\` and then \`npx vggnet cuda install\` replaces it`,
    )
  })

  test.each([
    [
      'another size',
      () => writeFiles(folder, { 'lib/libone.so.1': 'more' }),
      /libone\.so\.1 has 4 bytes instead of 3: /,
    ],
    ['another file', () => writeFiles(folder, { 'lib/libthree.so.1': '' }), /libthree\.so\.1 is no file of NVIDIA's/],
    ['a missing file', () => renameSync(at('libone.so.1'), path.join(cache, 'x')), /cannot be examined \(ENOENT/],
    ['a link', () => relink(at('libone.so.1')), /libone\.so\.1 is a symbolic link$/],
    ['a linked folder', () => relink(folder), /small-1\.0-\w+ is a symbolic link$/],
    ['a file that the group can write', () => chmodSync(at('libtwo.so.1'), 0o664), /can write to .*two.* \(mode 664\)/],
    [
      'a folder that all can write',
      () => chmodSync(path.join(folder, 'lib'), 0o757),
      /can write to .*lib \(mode 757\)/,
    ],
  ])('are not used with %s', (_, change, reason) => {
    change()
    expect(fault()).toMatch(reason)
  })

  function relink(name: string): void {
    renameSync(name, path.join(cache, 'moved'))
    symlinkSync(path.join(cache, 'moved'), name)
  }

  test('in a folder of another name are not even examined', () => {
    renameSync(folder, path.join(cache, 'small-1.0'))
    expect(found()).toEqual({ folders: [], passedOver: [] })
  })

  const real = cacheFolder()
  test.skipIf(!cudaPins.every((name) => existsSync(folderOf(real, name, pins[name]))))(
    "are NVIDIA's as pip installs them",
    () => {
      vi.unstubAllEnvs()
      expect(cachedLibraries(real)).toEqual({
        folders: cudaPins.map((name) => path.join(folderOf(real, name, pins[name]), 'lib')),
        passedOver: [],
      })
    },
  )
})

describe('a cache', () => {
  const reasons = (reason: RegExp): void => {
    expect(cacheExposure(cache)).toMatch(reason)
    expect(fault()).toMatch(reason)
    remember('/some/binary', 'state')
    expect(existsSync(path.join(cache, 'binaries.json'))).toBe(false)
  }

  test.each([0o775, 0o777, 0o757])('that others can write to is not used, mode %o', async (mode) => {
    chmodSync(cache, mode)
    reasons(
      new RegExp(`^other users can write to ${cache} \\(mode ${mode.toString(8)}\\): \`chmod -R go-w '${cache}'\`$`),
    )
    const source = () => Promise.reject(new Error('fetched'))
    await expect(installPin({ cache, name: 'other', pin, source })).rejects.toMatchObject({
      code: 'FILE_WRITE',
      message: expect.stringContaining('The cache is not private, and is not used: other users can write to'),
    })
  })

  test('in a folder in which all can replace it is not used; a sticky folder, as /tmp, is fine', () => {
    chmodSync(path.dirname(cache), 0o777)
    reasons(/^all users can replace .*: `chmod o-w '.*'`$/)
    chmodSync(path.dirname(cache), 0o1777)
    expect(cacheExposure(cache)).toBe('')
  })

  // as with `sudo -E`, and the other way round
  test.skipIf(process.geteuid?.() !== 0)('of another user is not used', () => {
    chownSync(cache, 12_345, 0)
    reasons(/^\S+ belongs to user 12345, not to user 0: `sudo -H` takes root's own$/)
  })

  test.skipIf(process.geteuid?.() !== 0)('of root may be used by others, which a cache of a third user may not', () => {
    chmodSync(path.dirname(cache), 0o755)
    const another = 12_345
    const asAnother = () => {
      process.seteuid?.(another)
      try {
        return cacheExposure(cache)
      } finally {
        process.seteuid?.(0)
      }
    }
    expect(asAnother()).toBe('')
    chownSync(cache, 54_321, 0)
    expect(asAnother()).toMatch(/belongs to user 54321, not to user 12345: VGGNET_CACHE=FOLDER names one of your own$/)
  })

  test('that was exposed when it recorded a binary has no record', () => {
    remember('/some/binary', 'state')
    expect(isKnown('/some/binary', 'state')).toBe(true)
    chmodSync(path.join(cache, 'binaries.json'), 0o666)
    expect(isKnown('/some/binary', 'state')).toBe(false)
  })

  test('is created for this user only', async () => {
    const fresh = path.join(newFolder(), 'a', 'cache')
    const source = () => Promise.reject(new Error('fetched'))
    await expect(installPin({ cache: fresh, name: 'other', pin, source })).rejects.toThrow('fetched')
    for (const made of [fresh, path.dirname(fresh)]) expect(statSync(made).mode & 0o777).toBe(0o700)
    const own = path.join(newFolder(), 'cache')
    vi.stubEnv('VGGNET_CACHE', own)
    remember('/some/binary', 'state')
    expect(statSync(own).mode & 0o777).toBe(0o700)
  })
})

test('a cache where no folder can be created is an error, and no endless loop of Node', () => {
  expect(() => makeFolder('/proc/vggnet/cache')).toThrow('/proc/vggnet')
  const deep = path.join(newFolder(), 'a', 'b', 'c')
  makeFolder(deep)
  makeFolder(deep)
  for (const made of [deep, path.dirname(deep)]) expect(statSync(made).mode & 0o777).toBe(0o700)
  makeFolder(path.join(deep, 'd'))
  expect(statSync(path.join(deep, 'd')).mode & 0o777).toBe(0o700)
})
