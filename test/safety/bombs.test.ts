import { spawn } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { isWhole } from '../setup/amount.js'
import { directoriesBomb, framesBomb, hugeJpeg, svgBomb, tiffBomb, zlibBomb } from '../setup/bombs.js'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'
import { idxBytes } from '../setup/idx-bytes.js'

/** Against hangs only: the sample takes seconds. */
const deadline = 600_000

/** What reads a bomb, and with what: see bomb-reader.mjs. */
interface Bomb {
  readonly name: string
  readonly call: 'images' | 'idx' | 'cifar' | 'list' | 'folder' | 'model' | 'log' | 'plan'
  readonly given: unknown
  /** What comes of it: it is read, or the code of the error. */
  readonly result: 'read' | 'FILE_FORMAT' | 'SHAPE_MISMATCH' | 'INVALID_ARGUMENT'
  /** Most megabytes of resident memory while it is read. */
  readonly megabytes: number
}

interface Outcome {
  readonly name: string
  readonly result?: string
  readonly peak?: number
}

/** Reads bombs in a process with 8 GB of address space; returns what it printed. */
async function explode(bombs: readonly Bomb[]): Promise<Outcome[]> {
  const words = JSON.stringify(bombs.map(({ name, call, given }) => ({ name, call, given })))
  const line = 'ulimit -v 8000000; exec "$0" --expose-gc test/safety/bomb-reader.mjs "$1"'
  const child = spawn('bash', ['-c', line, process.execPath, words], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), deadline)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  await new Promise((resolve) => child.on('close', resolve))
  clearTimeout(timer)
  return text
    .trim()
    .split('\n')
    .map((one) => JSON.parse(one) as Outcome)
}

/** Asserts the outcome of each bomb. The first that is missing ended the process. */
async function checkAll(bombs: readonly Bomb[]): Promise<void> {
  const outcomes = await explode(bombs)
  for (const { name, result, megabytes } of bombs) {
    const outcome = outcomes.find((one) => one.name === name && one.result !== undefined)
    expect(outcome ?? 'the process ended', name).toMatchObject({ result })
    expect(outcome?.peak, `peak of ${name} in megabytes`).toBeLessThan(megabytes)
  }
}

/** Writes a file; `size` extends it by a hole that takes no room on the disk. */
function written(folder: string, name: string, bytes: Uint8Array, size = bytes.length): string {
  const file = path.join(folder, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, bytes)
  truncateSync(file, size)
  return file
}

const gibibyte = 2 ** 30

test('images that are far larger than their files', async () => {
  const folder = newFolder()
  const image = (
    name: string,
    bytes: Uint8Array,
    expected: Pick<Bomb, 'result' | 'megabytes'>,
    options: object = {},
    copies = 1,
  ): Bomb => {
    const file = written(folder, name, bytes)
    return { name, call: 'images', given: { files: Array(copies).fill(file), options }, ...expected }
  }
  const refused = { result: 'FILE_FORMAT', megabytes: 40 } as const
  const read = (megabytes: number) => ({ result: 'read', megabytes }) as const
  const progressive = hugeJpeg({ side: 8000, components: 1, scans: 1 }) // 128 MB of coefficients
  const widest = Buffer.from(progressive)
  widest.writeUInt16BE(65500, widest.indexOf(Buffer.of(0xff, 0xc2)) + 5)
  widest.writeUInt16BE(65500, widest.indexOf(Buffer.of(0xff, 0xc2)) + 7)
  const orange = sharp({ create: { width: 1500, height: 1500, channels: 3, background: '#fa0' } })
  const avif = await orange.avif({ effort: 0 }).toBuffer()
  // the size that its header says: 'ispe', version, width, height
  const size = avif.indexOf('ispe') + 8
  const largerAvif = Buffer.from(avif)
  for (const at of [size, size + 4]) largerAvif.writeUInt32BE(16000, at)
  const frames = Buffer.alloc(16 * 16 * 500 * 3, 90)
  const webp = sharp(frames, { raw: { width: 16, height: 16 * 500, channels: 3, pageHeight: 16 } }).webp({ effort: 0 })
  await checkAll([
    image('bomb.svg', svgBomb(), refused),
    image('wide.jpg', widest, refused),
    image('one.jpg', progressive, read(170)),
    image('four.jpg', progressive, read(170), { decodeBytes: 1.5e8 }, 4),
    image('large-for-the-limit.jpg', progressive, refused, { decodeBytes: 2 ** 26 }),
    image('scans.jpg', hugeJpeg({ side: 2000, components: 1, scans: 90 }), read(40)),
    image('many-scans.jpg', hugeJpeg({ side: 16000, components: 1, scans: 5000 }), refused),
    image('restarts.jpg', hugeJpeg({ side: 6000, components: 1, scans: 0, restarts: true }), read(40)),
    image('zlib.png', zlibBomb(4000), read(100)),
    image('text.png', zlibBomb(100, 1e8), read(40)),
    image('frames.gif', framesBomb(1000, 20_000), read(60)),
    image('canvas.gif', framesBomb(65_535, 1), read(40)), // libnsgif takes the size of the frame
    image('frames.webp', await webp.toBuffer(), read(40)),
    image('directories.tif', directoriesBomb(2000), refused),
    image('slow.tif', tiffBomb(16_000), { result: 'FILE_FORMAT', megabytes: 900 }, { decodeSeconds: 1 }),
    image('large.avif', avif, read(120)),
    image('larger.avif', largerAvif, refused),
  ])
})

test('data files that declare or hold far more than their length', async () => {
  const folder = newFolder()
  const file = (name: string, bytes: Uint8Array, size?: number) => written(folder, name, bytes, size)
  const header = (...shape: number[]) => Buffer.from(idxBytes(shape, new Uint8Array(0)))
  const ten = file('ten-labels', idxBytes([10], new Uint8Array(10)))
  const idx = (name: string, images: string, labels: string, result: Bomb['result'], megabytes = 30): Bomb => {
    return { name, call: 'idx', given: { images, labels }, result, megabytes }
  }
  const black = 1024 * 256 * 256 // 64 MiB, 64 KB as gzip
  const packed = file('black.gz', gzipSync(idxBytes([1024, 256, 256], new Uint8Array(black)), { level: 1 }))
  const labels = file('labels', idxBytes([1024], new Uint8Array(1024)))
  const more = file('more.gz', gzipSync(idxBytes([10, 28, 28], new Uint8Array(black))))
  const jpeg = Buffer.from([0xff, 0xd8])
  for (const name of ['a', 'b']) {
    file(`data/${name}/1.png`, jpeg)
    file(`data/${name}/run.json`, Buffer.from('{'), 4 * gibibyte)
  }
  await checkAll([
    idx('labels for ten of 1024 images', packed, ten, 'SHAPE_MISMATCH'),
    idx('64 MiB of images', packed, labels, 'read', 64 * 1.05 + 60),
    idx('a header of 4 GB', file('header', header(10, 20_000, 20_000)), ten, 'FILE_FORMAT'),
    idx('a header of 4 GB as gzip', file('header.gz', gzipSync(header(10, 20_000, 20_000))), ten, 'FILE_FORMAT'),
    idx('a hole of 4 GB', file('hole', header(10, 28, 28), 4 * gibibyte), ten, 'FILE_FORMAT'),
    idx('gzip that goes on', more, ten, 'FILE_FORMAT'),
    {
      name: 'a hole as CIFAR',
      call: 'cifar',
      given: file('train.bin', jpeg, 4 * gibibyte),
      result: 'FILE_FORMAT',
      megabytes: 30,
    },
    {
      name: 'a hole as a list',
      call: 'list',
      given: file('list.csv', jpeg, 4 * gibibyte),
      result: 'FILE_FORMAT',
      megabytes: 30,
    },
    {
      name: 'a hole as a log',
      call: 'log',
      given: file('log.jsonl', jpeg, 4 * gibibyte),
      result: 'FILE_FORMAT',
      megabytes: 30,
    },
    {
      name: 'a hole as a model',
      call: 'model',
      given: file('m.safetensors', jpeg, 4 * gibibyte),
      result: 'FILE_FORMAT',
      megabytes: 30,
    },
    {
      name: 'holes as run.json',
      call: 'folder',
      given: path.join(folder, 'data'),
      result: 'read',
      megabytes: 30,
    },
    {
      name: 'holes as images',
      call: 'images',
      given: { files: Array(8).fill(file('hole.jpg', jpeg, gibibyte)), options: { decodeBytes: 2 ** 26 } },
      result: 'FILE_FORMAT',
      megabytes: 30,
    },
  ])
})

test('a network that no memory could hold is described by arithmetic', async () => {
  const model = { variant: 'E', classes: 10, imageSize: 32 }
  const huge = (name: string, batch: number, side: number): Bomb => {
    const given = { model: { ...model, imageSize: side }, shape: [batch, 3, side, side], training: true }
    return { name, call: 'plan', given, result: 'read', megabytes: 60 }
  }
  await checkAll([
    huge('2,000 million images', 2e9, 32),
    huge('images of 4000x4000', 50_000, 4000),
    { ...huge('images of a million x a million', 1e9, 1e6), result: 'INVALID_ARGUMENT' },
  ])
})

test.runIf(isWhole)('the largest of them', async () => {
  const folder = newFolder()
  const jpeg = written(folder, 'large.jpg', hugeJpeg({ side: 16_000, components: 3, scans: 1 })) // 1.5 GB of coefficients
  const hole = written(folder, 'hole.jpg', Buffer.from([0xff, 0xd8]), 1.5 * gibibyte)
  // members of gzip, one after the other, unpack to 1 GiB
  const member = gzipSync(new Uint8Array(2 ** 24))
  const gzip = written(folder, 'train.bin.gz', Buffer.concat(Array<Buffer>(64).fill(member)))
  const images = { name: 'four JPEGs of 256 million pixels', call: 'images', result: 'read', megabytes: 1800 } as const
  await checkAll([
    { ...images, given: { files: Array(4).fill(jpeg), options: {} } },
    { ...images, name: 'holes of 1.5 GB', given: { files: Array(8).fill(hole), options: {} }, result: 'FILE_FORMAT' },
    { name: 'gzip of 1 GiB as CIFAR', call: 'cifar', given: gzip, result: 'FILE_FORMAT', megabytes: 1300 },
    {
      name: 'a list of 16 million lines',
      call: 'list',
      given: written(folder, 'list.csv', Buffer.from('a,0\n'.repeat(2 ** 24))),
      result: 'FILE_FORMAT',
      megabytes: 2048,
    },
  ])
})
