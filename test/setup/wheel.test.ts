import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, expect, test, vi } from 'vitest'
import { removeForgottenFolders } from '../../scripts/setup/cache.mjs'
import { fetchPin, folderOf, pins } from '../../scripts/setup/wheel.mjs'
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
    megabytes: 1,
    wheels: [{ ...wheel, take: 'small/data', leave: ['doc'] }],
  }
}

let links: string
let cache: string

beforeEach(() => {
  links = newFolder()
  cache = path.join(newFolder(), 'cache')
  // pip itself runs; it is only kept from the network.
  vi.stubEnv('PIP_NO_INDEX', '1')
  vi.stubEnv('PIP_FIND_LINKS', links)
  return () => vi.unstubAllEnvs()
})

test('takes the wanted part of a wheel, file modes included, and leaves nothing else in the cache', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const folder = await fetchPin({ cache, name: 'small', pin, python: 'python3' })
  expect(folder).toBe(folderOf(cache, 'small', pin))
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['bin', 'bin/tool', 'lib', 'lib/part.txt'])
  expect(readFileSync(path.join(folder, 'lib/part.txt'), 'utf8')).toBe('the part')
  expect(statSync(path.join(folder, 'bin/tool')).mode & 0o777).toBe(0o755)
  expect(statSync(path.join(folder, 'lib/part.txt')).mode & 0o777).toBe(0o644)
  expect(readdirSync(cache)).toEqual([path.basename(folder)])
})

test('takes all of a wheel that is for another Python, by the options of its pin', async () => {
  const wheel = makeWheel(links, '1.0', members, 'cp27-cp27mu-manylinux_2_28_x86_64')
  const whole = { ...wheel, take: '', leave: ['small/data', 'small_part-1.0.dist-info'] }
  const fetch = (options: string[]) => {
    const pin = { title: 'small part', version: '1.0', megabytes: 1, wheels: [{ ...whole, options }] }
    return fetchPin({ cache, name: 'small', pin, python: 'python3' })
  }
  await expect(fetch([])).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' })
  const another = ['--python-version=2.7', '--implementation=cp', '--abi=cp27mu', '--platform=manylinux_2_28_x86_64']
  const folder = await fetch(another)
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['small', 'small/elsewhere.txt'])
})

test('does not fetch again what is there', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const folder = await fetchPin({ cache, name: 'small', pin, python: 'python3' })
  await expect(fetchPin({ cache, name: 'small', pin, python: 'no-such-python' })).resolves.toBe(folder)
})

test('gives a changed pin a folder of its own', () => {
  const pin = pinOf({ requirement: 'small-part==1.0', sha256: '00' })
  const changed = pinOf({ requirement: 'small-part==1.0', sha256: '01' })
  expect(folderOf(cache, 'small', pin)).not.toBe(folderOf(cache, 'small', changed))
})

test('a wrong hash is an error that names both hashes, and leaves nothing', async () => {
  const { requirement, sha256 } = makeWheel(links, '1.0', members)
  const expected = '0'.repeat(64)
  const failing = fetchPin({ cache, name: 'small', pin: pinOf({ requirement, sha256: expected }), python: 'python3' })
  await expect(failing).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringContaining(`Expected SHA-256 ${expected} for small-part==1.0 but received ${sha256}`),
  })
  expect(readdirSync(cache)).toEqual([])
})

test('a second wheel with a wrong hash takes the first with it', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const second = makeWheel(links, '2.0', members)
  pin.wheels.push({ ...second, sha256: 'f'.repeat(64), take: 'small/data', leave: [] })
  const failing = fetchPin({ cache, name: 'small', pin, python: 'python3' })
  await expect(failing).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
  expect(readdirSync(cache)).toEqual([])
})

test('what pip cannot find is an error with a cure, the words of pip as its log, and leaves nothing', async () => {
  const pin = pinOf({ requirement: 'small-part==3.0', sha256: '00' })
  await expect(fetchPin({ cache, name: 'small', pin, python: 'python3' })).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringMatching(/^pip could not download small-part==3\.0: check the network/),
    log: expect.stringContaining('No matching distribution'),
  })
  expect(readdirSync(cache)).toEqual([])
})

test('a wheel without the wanted part is an error and leaves nothing', async () => {
  const pin = pinOf(makeWheel(links, '1.0', { 'small/elsewhere.txt': 'x' }))
  await expect(fetchPin({ cache, name: 'small', pin, python: 'python3' })).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    log: expect.stringContaining('nothing under small/data'),
  })
  expect(readdirSync(cache)).toEqual([])
})

test('a member whose name leaves the folder is refused', async () => {
  const pin = pinOf(makeWheel(links, '1.0', { 'small/data/../../../outside.txt': 'x' }))
  await expect(fetchPin({ cache, name: 'small', pin, python: 'python3' })).rejects.toMatchObject({
    log: expect.stringContaining('a name that leaves the folder'),
  })
  expect(readdirSync(path.dirname(cache))).toEqual(['cache'])
})

test('processes that fetch the same at once all end with the same whole folder', async () => {
  const pin = pinOf(makeWheel(links, '1.0', members))
  const program = `
    import { fetchPin } from ${JSON.stringify(path.resolve('scripts/setup/wheel.mjs'))}
    console.log(await fetchPin({ cache: ${JSON.stringify(cache)}, name: 'small', pin: ${JSON.stringify(pin)}, python: 'python3' }))`
  const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  const folders = (await Promise.all([start(), start(), start()])).map(({ stdout }) => stdout.trim())
  expect(new Set(folders)).toEqual(new Set([folderOf(cache, 'small', pin)]))
  expect(readdirSync(cache)).toEqual([path.basename(folders[0])])
  expect(readFileSync(path.join(folders[0], 'lib/part.txt'), 'utf8')).toBe('the part')
})

test('what a killed set-up left is removed after an hour, and nothing else', () => {
  writeFiles(cache, { '.unfinished-old/a': '', '.unfinished-new/a': '', 'onednn-3.1.0-x/a': '' })
  const longAgo = Date.now() / 1000 - 7200
  for (const name of ['.unfinished-old', 'onednn-3.1.0-x']) utimesSync(path.join(cache, name), longAgo, longAgo)
  mkdirSync(cache, { recursive: true })
  removeForgottenFolders(cache)
  expect(readdirSync(cache).sort()).toEqual(['.unfinished-new', 'onednn-3.1.0-x'])
})

test('each pinned wheel has one exact version and a SHA-256', () => {
  for (const { wheels } of Object.values(pins)) {
    for (const { requirement, sha256 } of wheels) {
      expect(requirement).toMatch(/^[a-z0-9-]+==[0-9.]+$/)
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    }
  }
})
