import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readFolder } from '../../lib/data/sources/folder.js'
import { readIdx } from '../../lib/data/sources/idx.js'
import { blocksOf, readRegularFile } from '../../lib/files/regular-file.js'
import * as api from '../../lib/index.js'
import { readRunFile } from '../../lib/run/folder.js'
import { openWeightFile } from '../../lib/weights/containers/containers.js'
import { vggnet } from '../setup/command.js'

// A pipe that nobody writes to blocks whoever opens it for reading in the usual way, and with it a thread of the process.
let folder: string
const at = (name: string) => path.join(folder, name)
const server = createServer()

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'vggnet-test-'))
  expect(spawnSync('mkfifo', [at('pipe')]).status).toBe(0)
  await new Promise<void>((resolve) => server.listen(at('socket'), resolve))
  writeFileSync(at('labels'), Buffer.from([0, 0, 8, 1, 0, 0, 0, 1, 0]))
})
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const readers: Record<string, (file: string) => Promise<unknown>> = {
  readIdx,
  'idxDataset, images': (file) => api.idxDataset({ images: file, labels: at('labels') }),
  readCifar: (file) => api.readCifar(file),
  readList: (file) => api.readList(file),
  readImage: (file) => api.readImage(file, { height: 8, width: 8, channels: 3 }),
  readImageSize: (file) => api.readImageSize(file),
  load: (file) => api.load(file),
  loadTraining: (file) => api.loadTraining(file),
  readRunLog: (file) => api.readRunLog(file),
  openWeightFile,
}

describe.each(['pipe', 'socket', '/dev/zero', '/dev/null'])('%s', (name) => {
  const file = () => (name.startsWith('/') ? name : at(name))

  test.each(Object.entries(readers))('%s refuses it', async (_, read) => {
    await expect(read(file())).rejects.toMatchObject({ name: 'VggError', code: 'FILE_FORMAT' })
  })
})

test('a path that becomes a pipe while it is opened gives its file or a refusal, and leaves nothing open', async () => {
  writeFileSync(at('file'), 'content')
  const flips = `
    const { linkSync, renameSync } = require('node:fs')
    const replace = (name) => (linkSync(name, 'next'), renameSync('next', 'either'))
    replace('file')
    console.log('ready')
    for (let end = Date.now() + 20_000; Date.now() < end; ) for (const name of ['pipe', 'file']) replace(name)`
  const child = spawn(process.execPath, ['-e', flips], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const found = new Set<string>()
  for (let time = 0; time < 3000; time++) {
    const read = readRegularFile(at('either'), 100).then(String, (error) => String(error.code))
    found.add(await Promise.race([read, delay(30_000, 'it waits', { ref: false })]))
  }
  child.kill()
  expect([...found].sort()).toEqual(['FILE_FORMAT', 'content'])
  const open = readdirSync('/proc/self/fd').map((name) => readlink(`/proc/self/fd/${name}`))
  expect((await Promise.all(open.map((one) => one.catch(() => '')))).filter((one) => one.startsWith(folder))).toEqual(
    [],
  )
})

test('blocks of a file beyond the limit are not read', async () => {
  writeFileSync(at('long'), 'x'.repeat(101))
  const blocks = async (limit: number): Promise<number[]> => {
    const lengths: number[] = []
    for await (const { length } of blocksOf(at('long'), limit, 50)) lengths.push(length)
    return lengths
  }
  await expect(blocks(100)).rejects.toThrow(`Expected at most 100 bytes for ${at('long')} but it has 101`)
  expect(await blocks(101)).toEqual([50, 50, 1])
})

test('the message says what it is', async () => {
  await expect(api.readList(at('pipe'))).rejects.toThrow(
    `Expected a file for ${at('pipe')} but it is a named pipe, which is not read: write its data to a file`,
  )
  await expect(api.readImage('/dev/zero', { height: 8, width: 8, channels: 3 })).rejects.toThrow(
    'Expected an image for /dev/zero but it is a device, which is not read',
  )
})

test('a pipe as run.json, as a log or as a configuration is refused', async () => {
  for (const name of ['run.json', 'log.jsonl']) spawnSync('mkfifo', [at(name)])
  await expect(readRunFile(folder)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
  const { code, stderr } = await vggnet(['train', folder, '--config', at('pipe')])
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('it is a named pipe') })
})

test('a folder of images with a pipe as run.json is read', async () => {
  for (const name of ['data/cat', 'data/dog']) {
    mkdirSync(at(name), { recursive: true })
    spawnSync('mkfifo', [at(`${name}/run.json`)])
    writeFileSync(at(`${name}/1.png`), '')
  }
  const { training } = await readFolder(at('data'))
  expect(training.classNames).toEqual(['cat', 'dog'])
})

test('a file that is too large is not read', async () => {
  const file = at('five')
  writeFileSync(file, '12345')
  await expect(readRegularFile(file, 4)).rejects.toThrow(`Expected at most 4 bytes for ${file} but it has 5`)
  expect((await readRegularFile(file, 5)).toString()).toBe('12345')
})
