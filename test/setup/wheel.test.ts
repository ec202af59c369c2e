import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync, utimesSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, expect, test, vi } from 'vitest'
import { folderOf, removeForgotten } from '../../lib/platform/wheels/cache.mjs'
import { installPin, pipSource } from '../../lib/platform/wheels/install.mjs'
import { type Pin, pins } from '../../lib/platform/wheels/pins.mjs'
import { newFolder, writeFiles } from './folder.js'
import { makeWheel, type SmallWheel } from './small-wheel.js'

const members = {
  'small/data/lib/part.txt': 'the part',
  'small/data/bin/tool': '#!/bin/sh',
  'small/data/doc/long.txt': 'not wanted',
  'small/elsewhere.txt': 'not wanted either',
}

function pinOf(wheel: SmallWheel) {
  return {
    title: 'small part 1.0',
    version: '1.0',
    unpackedBytes: 18,
    wheels: [{ ...wheel, take: 'small/data', leave: ['doc'] }],
  }
}

let links: string
let cache: string

const fetchPin = (pin: Pin, source = pipSource(cache)) => installPin({ cache, name: 'small', pin, source })

beforeEach(() => {
  links = newFolder()
  cache = path.join(newFolder(), 'cache')
  // pip itself runs; it is only kept from the network.
  vi.stubEnv('PIP_NO_INDEX', '1')
  vi.stubEnv('PIP_FIND_LINKS', links)
  return () => vi.unstubAllEnvs()
})

test('unpacks the selected part of a wheel, with file modes, and leaves nothing else in the cache', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const folder = await fetchPin(pin)
  expect(folder).toBe(folderOf(cache, 'small', pin))
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['bin', 'bin/tool', 'lib', 'lib/part.txt'])
  expect(readFileSync(path.join(folder, 'lib/part.txt'), 'utf8')).toBe('the part')
  expect(statSync(path.join(folder, 'bin/tool')).mode & 0o777).toBe(0o755)
  expect(statSync(path.join(folder, 'lib/part.txt')).mode & 0o777).toBe(0o644)
  expect(readdirSync(cache)).toEqual([path.basename(folder)])
})

test('unpacks all of a wheel for another Python, by the options of its pin', async () => {
  const wheel = makeWheel(links, '1.0', members, 'cp27-cp27mu-manylinux_2_28_x86_64')
  const whole = { ...wheel, take: '', leave: ['small/data', 'small_part-1.0.dist-info'] }
  const fetch = (options: string[]) => {
    return fetchPin({ title: 'small part', version: '1.0', unpackedBytes: 0, wheels: [{ ...whole, options }] })
  }
  await expect(fetch([])).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' })
  const another = ['--python-version=2.7', '--implementation=cp', '--abi=cp27mu', '--platform=manylinux_2_28_x86_64']
  const folder = await fetch(another)
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['small', 'small/elsewhere.txt'])
})

test('does not fetch a pin that is in the cache', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const folder = await fetchPin(pin)
  const none = () => Promise.reject(new Error('nothing was to be fetched'))
  await expect(fetchPin(pin, none)).resolves.toBe(folder)
})

test('gives a changed pin another folder', () => {
  const wheel = { requirement: 'small-part==1.0', file: 'small.whl', bytes: 1 }
  const pin = pinOf({ ...wheel, sha256: '00' })
  const changed = pinOf({ ...wheel, sha256: '01' })
  expect(folderOf(cache, 'small', pin)).not.toBe(folderOf(cache, 'small', changed))
})

test('a wrong hash throws an error with both hashes, and leaves nothing', async () => {
  const { sha256, ...wheel } = makeWheel(links, '1.0', members)
  const expected = '0'.repeat(64)
  const failing = fetchPin(pinOf({ ...wheel, sha256: expected }))
  await expect(failing).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringContaining(`Expected SHA-256 ${expected} for small-part==1.0 but received ${sha256}`),
  })
  expect(readdirSync(cache)).toEqual([])
})

test('a wrong hash of the second wheel removes the first too', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const second = makeWheel(links, '2.0', members)
  pin.wheels.push({ ...second, sha256: 'f'.repeat(64), take: 'small/data', leave: [] })
  const failing = fetchPin(pin)
  await expect(failing).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
  expect(readdirSync(cache)).toEqual([])
})

test('a version that the index lacks throws an error with those it has, and leaves nothing', async () => {
  makeWheel(links, '1.0', members)
  const pin = pinOf({ requirement: 'small-part==3.0', file: 'small.whl', bytes: 1, sha256: '00' })
  await expect(fetchPin(pin)).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringMatching(/^pip could not download small-part==3\.0: the package index has only 1\.0 for/),
  })
  expect(readdirSync(cache)).toEqual([])
})

test('a wheel without the wanted part is an error and leaves nothing', async () => {
  const pin = pinOf(makeWheel(links, '1.0', { 'small/elsewhere.txt': 'x' }))
  await expect(fetchPin(pin)).rejects.toMatchObject({
    code: 'FILE_FORMAT',
    message: expect.stringContaining('it contains nothing under small/data'),
  })
  expect(readdirSync(cache)).toEqual([])
})

test('a member whose name is outside the folder is refused', async () => {
  const pin = pinOf(makeWheel(links, '1.0', { 'small/data/../../../outside.txt': 'x' }))
  await expect(fetchPin(pin)).rejects.toMatchObject({
    message: expect.stringContaining('is outside the folder'),
  })
  expect(readdirSync(path.dirname(cache))).toEqual(['cache'])
})

test('simultaneous processes that fetch the same pin end with the same complete folder', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const program = `
    import { installPin, pipSource } from ${JSON.stringify(path.resolve('lib/platform/wheels/install.mjs'))}
    const [cache, pin] = ${JSON.stringify([cache, pin])}
    console.log(await installPin({ cache, name: 'small', pin, source: pipSource(cache) }))`
  const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  const folders = (await Promise.all([start(), start(), start()])).map(({ stdout }) => stdout.trim())
  expect(new Set(folders)).toEqual(new Set([folderOf(cache, 'small', pin)]))
  expect(readdirSync(cache)).toEqual([path.basename(folders[0])])
  expect(readFileSync(path.join(folders[0], 'lib/part.txt'), 'utf8')).toBe('the part')
})

test('leftovers of killed installs are removed: folders after an hour, wheels after a month', () => {
  const [folders, wheels] = [
    ['.unfinished-old', '.unfinished-new', 'onednn-3.1.0-x'],
    ['.fetching-old.whl.part', '.fetching-new.whl'],
  ]
  writeFiles(cache, Object.fromEntries([...folders.map((name) => `${name}/a`), ...wheels].map((name) => [name, ''])))
  const ago = (name: string, hours: number) => {
    const seconds = Date.now() / 1000 - 3600 * hours
    utimesSync(path.join(cache, name), seconds, seconds)
  }
  ago('.unfinished-old', 2)
  ago('.fetching-new.whl', 2)
  for (const name of ['.fetching-old.whl.part', 'onednn-3.1.0-x']) ago(name, 24 * 40)
  removeForgotten(cache)
  expect(readdirSync(cache).sort()).toEqual(['.fetching-new.whl', '.unfinished-new', 'onednn-3.1.0-x'])
})

test('each pinned wheel has one exact version, the name of its file, and a SHA-256', () => {
  for (const { wheels, version } of Object.values(pins)) {
    for (const { requirement, file, sha256, bytes } of wheels) {
      expect(requirement).toMatch(/^[a-z0-9-]+==[0-9.]+$/)
      expect(file.replaceAll('_', '-')).toMatch(new RegExp(`^${requirement.replace('==', '-')}-.*\\.whl$`))
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
      expect(bytes).toBeGreaterThan(100_000)
    }
    expect(version).toMatch(/^[0-9.]+$/)
  }
})
