import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { endianness } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { cachedDataset } from '../../lib/data/cache/cache.js'
import { photoDataset } from '../../lib/data/sources/photo-dataset.js'
import { takeLock } from '../../lib/files/file-lock.js'
import { type CachedPhotos, cachedPhotos, every, readOf, shardsIn, withoutCache } from '../setup/cached-photos.js'
import { root, start } from '../setup/command.js'

const reader = path.join(root, 'test/setup/cache-reader.ts')
const wordsFor = ({ list, options }: CachedPhotos) =>
  JSON.stringify({ list: { ...list, labels: [...list.labels] }, options })

describe('shards', () => {
  const damages: [string, (file: string) => void][] = [
    ['a flipped bit in an image', (file) => flip(file, statSync(file).size - 5000)],
    ['a flipped bit in the table', (file) => flip(file, 100)],
    ['a truncated file', (file) => truncateSync(file, statSync(file).size - 1)],
    ['an empty file', (file) => truncateSync(file, 0)],
    ['zeros, as after a power failure', (file) => writeFileSync(file, Buffer.alloc(statSync(file).size))],
    ['no file', (file) => rmSync(file)],
    ['a height of 1e308 in a table with its hash', (file) => write(file, 1, 1e308)],
    ['a width that is NaN', (file) => write(file, 2, Number.NaN)],
    ['an image after the end', (file) => write(file, 0, 2 ** 52)],
  ]
  /** Writes a number of the first image into the table, and its hash. */
  function write(file: string, column: number, value: number): void {
    const bytes = readFileSync(file)
    bytes.writeDoubleLE(value, 40 + 8 * column)
    const table = bytes.subarray(40, 40 + 48 * 14)
    createHash('sha256').update(endianness()).update(table).digest().copy(bytes, 8)
    writeFileSync(file, bytes)
  }
  function flip(file: string, position: number): void {
    const bytes = readFileSync(file)
    bytes[position] ^= 16
    writeFileSync(file, bytes)
  }

  test.each(damages)('%s: written again with the same bytes', async (_, damage) => {
    const one = cachedPhotos(14)
    const before = await readOf(cachedDataset(one.list, one.options))
    const [name = ''] = shardsIn(one.options.cache)
    const file = path.join(one.options.cache, name)
    const whole = readFileSync(file)
    // by a dataset that read the table before the damage, and by a new one
    for (const early of [true, false]) {
      const cached = cachedDataset(one.list, one.options)
      if (early) await cached.prepare()
      damage(file)
      expect(await readOf(cached)).toEqual(before)
      expect(await readOf(cached)).toEqual(before)
      // by this dataset, or if it had read everything already, by the next
      expect(await readOf(cachedDataset(one.list, one.options))).toEqual(before)
      expect(readFileSync(file).equals(whole)).toBe(true)
    }
  })

  test('temporary files of killed processes are removed, and one that is being written stays', async () => {
    const one = cachedPhotos(3)
    mkdirSync(one.options.cache)
    const [killed, written] = ['.0.unfinished', '.1.unfinished'].map((name) => path.join(one.options.cache, name))
    for (const file of [killed, written]) writeFileSync(file ?? '', 'half')
    const writing = await open(written ?? '', 'r+')
    expect(await takeLock(writing, written ?? '')).toBe('taken')
    await cachedDataset(one.list, one.options).prepare()
    expect(readdirSync(one.options.cache).filter((name) => name.startsWith('.'))).toEqual(['.1.unfinished'])
    await writing.close()
  })

  test('a signal stops the preparation, and finished shards stay', async () => {
    const one = cachedPhotos(300)
    const stop = new AbortController()
    const cached = cachedDataset(one.list, one.options)
    const made = cached.prepare({ signal: stop.signal, onProgress: () => stop.abort('enough') })
    await expect(made).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' })
    expect(readdirSync(one.options.cache)).toHaveLength(1)
    expect(await cached.prepare()).toEqual({ images: 257, missing: 43 })
  })

  test('several processes and datasets at once: one set of shards, and the right bytes for all', async () => {
    const one = cachedPhotos(290)
    const expected = await readOf(photoDataset(one.list, withoutCache(one.options)), every(290).subarray(0, 100))
    const others = [0, 1].map(() => start(reader, [wordsFor(one)]).ended)
    const here = await Promise.all(
      [0, 1].map(() => readOf(cachedDataset(one.list, one.options), every(290).subarray(0, 100))),
    )
    for (const found of here) expect(found).toEqual(expected)
    const hash = JSON.parse((await others[0])?.stdout ?? '')
    expect(hash.missing).toBe(41)
    expect(await others[1]).toMatchObject({ code: 0, stdout: (await others[0])?.stdout })
    expect(readdirSync(one.options.cache)).toEqual(shardsIn(one.options.cache))
    expect(shardsIn(one.options.cache)).toHaveLength(2)
  })

  test('a full disk: one warning, the same images, and no incomplete file', async () => {
    const one = cachedPhotos(290)
    const words = wordsFor(one)
    // files of at most 20 kB, while the smallest shard has 200 kB
    const full = spawnSync(
      'bash',
      ['-c', 'ulimit -f 20; exec "$0" --import tsx "$@"', process.execPath, reader, words],
      { cwd: root, encoding: 'utf8' },
    )
    expect(full.stderr.match(/VggCacheWarning/g)).toHaveLength(1)
    expect(full.stderr).toContain(
      `Could not write ${one.options.cache}: the file would be larger than the system allows`,
    )
    expect(readdirSync(one.options.cache)).toEqual([])
    const room = await start(reader, [words]).ended
    expect(JSON.parse(full.stdout)).toEqual({ ...JSON.parse(room.stdout), images: 0, missing: 290 })
  })

  test('a folder that cannot be created is handled like a full disk', async () => {
    const one = cachedPhotos(4)
    writeFileSync(path.join(one.folder, 'file'), '')
    const cached = cachedDataset(one.list, { ...one.options, cache: path.join(one.folder, 'file', 'cache') })
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    expect(await readOf(cached)).toEqual(await readOf(photoDataset(one.list, withoutCache(one.options))))
    expect(await cached.prepare()).toEqual({ images: 0, missing: 4 })
    await new Promise((go) => setImmediate(go))
    process.off('warning', note)
    expect(warnings.map(({ name, message }) => [name, /its folder is a file/.test(message)])).toEqual([
      ['VggCacheWarning', true],
    ])
  })

  test('invalid options are rejected by name', () => {
    const one = cachedPhotos(2)
    expect(() => cachedDataset(one.list, { ...one.options, cache: '' })).toThrow(/for cache/)
    expect(() => cachedDataset(one.list, { ...one.options, smallestSide: 31 })).toThrow(/for smallestSide/)
    expect(() => cachedDataset(one.list, { ...one.options, ...JSON.parse('{"flipp":true}') })).toThrow(
      /did you mean 'flip'/,
    )
  })
})
