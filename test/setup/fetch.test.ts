import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fetchingFiles } from '../../lib/platform/wheels/cache.mjs'
import { fetchWheel, type Watching } from '../../lib/platform/wheels/fetch.mjs'
import { folderSource, installPin } from '../../lib/platform/wheels/install.mjs'
import type { Pin, Wheel } from '../../lib/platform/wheels/pins.mjs'
import { newFolder, writeFiles } from './folder.js'
import { makeWheel, type SmallWheel } from './small-wheel.js'
import { unknownPip } from './unknown-pip.js'
import { type Manners, pipOf, startIndex, type WheelIndex } from './wheel-index.js'

const names = Array.from({ length: 10 }, (_, number) => `lib/part-${number}`)
let contents: Record<string, string>
let links: string
let cache: string
let wheel: SmallWheel
let pin: Pin
let index: WheelIndex

beforeEach(() => {
  contents = Object.fromEntries(names.map((name) => [name, randomBytes(50_000).toString('hex')]))
  links = newFolder()
  cache = path.join(newFolder(), 'cache')
  wheel = makeWheel(links, '1.0', Object.fromEntries(names.map((name) => [`small/${name}`, contents[name] ?? ''])))
  pin = { title: 'small part 1.0', version: '1.0', unpackedBytes: 1_000_000, wheels: [{ ...wheel, take: 'small' }] }
})
afterEach(() => {
  vi.unstubAllEnvs()
})

async function serve(manners: Manners = {}): Promise<void> {
  index = await startIndex(links, wheel, manners)
  for (const [name, value] of Object.entries(pipOf(index))) vi.stubEnv(name, value)
  vi.stubEnv('PIP_DEFAULT_TIMEOUT', '1')
  vi.stubEnv('PIP_RETRIES', '1')
}

const install = (watching: Watching = {}, python = 'python3') => {
  const source = (wanted: Wheel, how: Watching) => fetchWheel(wanted, { cache, python, ...how })
  return installPin({ cache, name: 'small', pin, source, ...watching })
}
const part = () => fetchingFiles(cache, wheel).part
const partBytes = () => statSync(part(), { throwIfNoEntry: false })?.size ?? 0

function expectWhole(folder: string): void {
  for (const name of names) expect(readFileSync(path.join(folder, name), 'utf8') === contents[name], name).toBe(true)
  expect(readdirSync(cache)).toEqual([path.basename(folder)])
}

test('an install killed at random moments and restarted succeeds, and fetches no byte twice', async () => {
  await serve({ bytesPerSecond: 700_000 })
  let kept = 0
  index.onRequest = (start) => {
    expect(start).toBe(partBytes())
    expect(start).toBeGreaterThanOrEqual(kept)
    kept = start
  }
  const program = `
    import { installPin, pipSource } from ${JSON.stringify(path.resolve('lib/platform/wheels/install.mjs'))}
    const [cache, pin] = ${JSON.stringify([cache, pin])}
    console.log(await installPin({ cache, name: 'small', pin, source: pipSource(cache) }))`
  let kills = 0
  for (;;) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let stdout = ''
    child.stdout.on('data', (text) => {
      stdout += text
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    const requests = index.starts.length
    if (kills < 3) {
      // once it is fetching; now and then before
      while (kills !== 1 && index.starts.length === requests && child.exitCode === null) await pause(5)
      await pause(50 + 300 * Math.random())
      if (child.exitCode === null && child.kill('SIGKILL')) kills += 1
    }
    await ended
    if (stdout !== '') {
      expectWhole(stdout.trim())
      break
    }
  }
  expect(kills).toBe(3)
  expect(index.starts.at(-1)).toBeGreaterThan(0)
})

test('the bytes of a cut connection are kept, and further connections fetch the rest', async () => {
  await serve({ cutAfter: 400_000 })
  const said: string[] = []
  expectWhole(await install({ onProgress: ({ doing }) => said.push(doing) }))
  expect(index.starts).toHaveLength(3)
  expect(index.starts.slice(1).every((start) => start > 0)).toBe(true)
  expect(new Set(said)).toEqual(new Set(['fetching', 'trying again', 'checking', 'unpacking']))
})

test('a stalled server is an error, and the next install continues', async () => {
  await serve({ stallAfter: 300_000 })
  index.onRequest = (start) => {
    if (start > 0) index.manners = { stallAfter: 0 }
  }
  await expect(install()).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringMatching(/^pip could not download small-part==1\.0: nothing came for 1 seconds: check the/),
  })
  const kept = partBytes()
  expect(kept).toBeGreaterThan(200_000)
  Object.assign(index, { manners: {}, onRequest: () => undefined })
  expectWhole(await install())
  expect(index.starts.at(-1)).toBe(kept)
})

test('an aborted install keeps its bytes, and the next one continues', async () => {
  await serve({ bytesPerSecond: 600_000 })
  const stopping = new AbortController()
  const onProgress = ({ bytes }: { bytes: number }) => bytes > 200_000 && stopping.abort()
  await expect(install({ signal: stopping.signal, onProgress })).rejects.toMatchObject({ name: 'AbortError' })
  const kept = partBytes()
  expect(kept).toBeGreaterThan(200_000)
  expectWhole(await install())
  expect(index.starts).toEqual([0, kept])
})

test('a server without range requests sends the whole file again', async () => {
  await serve({ ignoresRanges: true })
  writeFiles(cache, { [path.basename(part())]: 'x'.repeat(1000) })
  expectWhole(await install())
  expect(index.starts).toEqual([1000])
})

test('a partial download that is damaged or too long is fetched from the start', async () => {
  await serve()
  writeFiles(cache, { [path.basename(part())]: 'x'.repeat(1000) })
  const folder = await install()
  expectWhole(folder)
  expect(index.starts).toEqual([1000, 0])
  cache = path.join(newFolder(), 'cache')
  writeFiles(cache, { [path.basename(part())]: 'x'.repeat(2 * wheel.bytes) })
  expectWhole(await install())
  expect(index.starts.slice(2)).toEqual([2 * wheel.bytes, 0])
})

test('a complete download is not fetched again', async () => {
  await serve()
  const { whole } = fetchingFiles(cache, wheel)
  writeFiles(cache, { [path.basename(whole)]: '' })
  writeFileSync(whole, readFileSync(path.join(links, wheel.file)))
  expectWhole(await install())
  expect(index.starts).toEqual([])
})

test('an index that offers another file is refused before anything is fetched', async () => {
  await serve({ hash: 'f'.repeat(64) })
  await expect(install()).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringMatching(/received f{64}: the package index offers another file; nothing was kept$/),
  })
  expect({ starts: index.starts, kept: readdirSync(cache) }).toEqual({ starts: [], kept: [] })
})

test('a file with another hash that the index does not state leaves nothing', async () => {
  await serve({ hash: '' })
  pin.wheels[0] = { ...wheel, take: 'small', sha256: '0'.repeat(64) }
  await expect(install()).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringContaining(wheel.sha256),
  })
  expect({ starts: index.starts, kept: readdirSync(cache) }).toEqual({ starts: [0], kept: [] })
})

test('a refusal by the server is reported', async () => {
  await serve({ status: 403 })
  const message = expect.stringContaining(': the server answers 403: check the network')
  await expect(install()).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED', message })
})

test('a missing index and an index without the wheel have different errors', async () => {
  await serve()
  vi.stubEnv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple/')
  await expect(install()).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
    message: expect.stringMatching(/^pip could not download small-part==1\.0: check the network \(with a proxy/),
    log: expect.stringContaining('Connection refused'),
  })
  vi.stubEnv('PIP_INDEX_URL', '')
  vi.stubEnv('PIP_NO_INDEX', '1')
  await expect(install()).rejects.toMatchObject({ message: expect.stringContaining('the package index has no wheel') })
})

test("the download uses pip's proxy", async () => {
  await serve()
  const proxy = `http://127.0.0.1:${index.port}`
  const there = { PIP_INDEX_URL: 'http://index.invalid/simple/', PIP_TRUSTED_HOST: 'index.invalid', HTTP_PROXY: proxy }
  for (const [name, value] of Object.entries({ ...there, http_proxy: proxy })) vi.stubEnv(name, value)
  expectWhole(await install())
  expect(index.starts).toEqual([0])
})

test('a pip with unknown internals downloads by itself', async () => {
  await serve()
  const python = path.join(unknownPip(), 'python3')
  writeFiles(cache, { [path.basename(part())]: 'x'.repeat(1000) })
  expectWhole(await install({}, python))
  expect(index.starts).toEqual([0])
})

test('a full disk is reported', async () => {
  await serve()
  writeFiles(cache, { marker: '' })
  symlinkSync('/dev/full', part())
  await expect(install()).rejects.toMatchObject({
    code: 'FILE_WRITE',
    message: `could not write in ${cache}: the disk is full: free some space, or set VGGNET_CACHE to another folder (ENOSPC)`,
  })
})

test('a file above the size limit is reported while unpacking, and leaves nothing', async () => {
  const program = `
    import { folderSource, installPin } from ${JSON.stringify(path.resolve('lib/platform/wheels/install.mjs'))}
    const [cache, pin, links] = ${JSON.stringify([cache, pin, links])}
    await installPin({ cache, name: 'small', pin, source: folderSource(links) }).catch(({ message }) => console.log(message))`
  const limited = 'ulimit -f 100; exec "$0" --input-type=module -e "$1"'
  const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, program])
  expect(stdout).toBe(
    `could not write in ${cache}: the file exceeds the size limit of this process (ulimit -f) (EFBIG)\n`,
  )
  expect(readdirSync(cache)).toEqual([])
})

test('a cache that cannot be written is reported with the fix', async () => {
  cache = '/sys/vggnet'
  await expect(install()).rejects.toMatchObject({
    code: 'FILE_WRITE',
    message: expect.stringMatching(/^could not write in \/sys\/vggnet: .* set VGGNET_CACHE to .* \(E[A-Z]+\)$/),
  })
  const file = path.join(newFolder(), 'file')
  writeFileSync(file, '')
  cache = path.join(file, 'cache')
  await expect(install()).rejects.toMatchObject({ code: 'FILE_WRITE', message: expect.stringContaining('is a file') })
})

test('a wheel in a folder needs no Python, and is verified', async () => {
  vi.stubEnv('PATH', newFolder())
  const from = (folder: string) => installPin({ cache, name: 'small', pin, source: folderSource(folder) })
  await expect(from(cache)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  const wrong = newFolder()
  mkdirSync(path.join(wrong, wheel.file))
  await expect(from(wrong)).rejects.toMatchObject({
    code: 'FILE_FORMAT',
    message: expect.stringMatching(/^could not read/),
  })
  expectWhole(await from(links))
  expect(existsSync(path.join(links, wheel.file))).toBe(true)
  cache = path.join(newFolder(), 'cache')
  truncateSync(path.join(links, wheel.file), wheel.bytes - 1)
  await expect(from(links)).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringMatching(/: it is damaged, or another file of that name; it was not used$/),
  })
  expect(readdirSync(cache)).toEqual([])
})
