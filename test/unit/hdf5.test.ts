import { createHash } from 'node:crypto'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { elementCount } from '../../lib/tensor.js'
import { openHdf5 } from '../../lib/weights/containers/hdf5.js'
import type { WeightFile } from '../../lib/weights/containers/weight-file.js'
import { root } from '../setup/command.js'
import { newFolder } from '../setup/folder.js'

const golden = (name: string) => fileURLToPath(new URL(`../golden/foreign/${name}`, import.meta.url))

async function open(file: string): Promise<WeightFile> {
  const opened = await openHdf5(file)
  onTestFinished(() => opened.close())
  return opened
}

function written(bytes: Buffer): string {
  const file = path.join(newFolder(), 'net.h5')
  writeFileSync(file, bytes)
  return file
}

/** All elements of a tensor, read in pieces of `piece`. */
async function valuesOf(file: WeightFile, name: string, piece: number): Promise<number[]> {
  const tensor = file.tensors.find((one) => one.name === name)
  if (tensor === undefined) throw new Error(`no ${name}`)
  const values = new Float32Array(elementCount(tensor.shape))
  for (let begin = 0; begin < values.length; begin += piece)
    await file.read(tensor, values.subarray(begin, begin + piece), begin)
  return [...values]
}

const counted = Array.from({ length: 24 }, (_, index) => index)

/** Bytes that the process has read from files. */
const bytesRead = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])

describe('a file of HDF5', () => {
  test('is hashed while its tensors are read, and is read once', async () => {
    const { File, ready } = await import('h5wasm/node')
    await ready
    const file = path.join(newFolder(), 'large.h5')
    const made = new File(file, 'w')
    const names = Array.from({ length: 10 }, (_, index) => `block${index}`)
    for (const name of names)
      made
        .create_group(name)
        .create_dataset({ name: 'kernel:0', data: new Float32Array(2 ** 20).fill(1), shape: [2 ** 20] })
    made.close()
    const whole = readFileSync(file)
    const opened = await open(file)
    const before = bytesRead()
    for (const name of names) await valuesOf(opened, `${name}/kernel:0`, 2 ** 18)
    expect(await opened.digest()).toBe(createHash('sha256').update(whole).digest('hex'))
    expect(bytesRead() - before).toBeLessThan(1.1 * whole.length)
  })

  test('has datasets as tensors, which are read in pieces of any size; links are not followed', async () => {
    const file = await open(path.relative(process.cwd(), golden('hdf5-links.h5')))
    expect(file.metadata).toEqual({ backend: 'none' })
    expect(file.tensors).toEqual([
      { name: 'big-endian', shape: [2, 3, 4], type: 'F64' },
      { name: 'chunked', shape: [2, 3, 4], type: 'F32' },
      { name: 'group/values', shape: [2, 3, 4], type: 'F32' },
      { name: 'integers', shape: [2, 3, 4], type: 'I32' },
      { name: 'scalar', shape: [], type: 'F32' },
    ])
    for (const name of ['big-endian', 'chunked', 'group/values'])
      for (const piece of [1, 5, 7, 13, 24])
        expect(await valuesOf(file, name, piece), `${name} ${piece}`).toEqual(counted)
    expect(await valuesOf(file, 'scalar', 1)).toEqual([7])
    await expect(valuesOf(file, 'integers', 24)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: "'integers' has the type I32, which is not read; read are F32, F16, BF16, F64",
    })
  })

  test('is not read from other files', async () => {
    await expect(open(golden('hdf5-virtual.h5'))).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringContaining('its dataset values lies in other files'),
    })
    const external = await open(golden('hdf5-external.h5'))
    await expect(valuesOf(external, 'values', 4)).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringContaining('unable to open external raw data file'),
    })
  })
})

describe('a damaged file of HDF5', () => {
  const bytes = readFileSync(golden('keras-D-old.h5'))
  /** A file with another value for the first of these dimensions, wherever they stand. */
  const withDimension = (name: string, dimensions: readonly bigint[], value: bigint): Buffer => {
    const [found, copy] = [Buffer.alloc(8 * dimensions.length), readFileSync(golden(name))]
    dimensions.forEach((dimension, index) => void found.writeBigUInt64LE(dimension, 8 * index))
    for (let at = copy.indexOf(found); at >= 0; at = copy.indexOf(found, at + 1)) copy.writeBigUInt64LE(value, at)
    return copy
  }
  const random = Buffer.from(bytes.map((byte, index) => (index < 8 ? byte : (index * 7919) >> 3)))
  const overwritten = (at: number) =>
    Buffer.concat([bytes.subarray(0, at), Buffer.alloc(64, 255), bytes.subarray(at + 64)])

  // the group of the root and its heap are at the begin
  test.each([
    ['its signature and random bytes', random, /Expected an HDF5 file that can be read: /],
    ['half of it', bytes.subarray(0, bytes.length / 2), /truncated file: .*Copy or download it again/],
    ['other bytes in its first group', overwritten(100), /Expected an HDF5 file that can be read: /],
    ['other bytes in its first heap', overwritten(800), /Expected an HDF5 file that can be read: /],
    // the fourth: that the first has no limit
    [
      'a huge dataset',
      withDimension('hdf5-links.h5', [2n, 3n, 4n, 2n ** 64n - 1n], 2n ** 40n),
      /its datasets have \d+ bytes, but it has 146\d\d/,
    ],
    [
      'a huge compressed dataset',
      withDimension('keras-D-kernel.h5', [32n, 16n], 2n ** 40n),
      /its compressed datasets have \d+ bytes, more than 16 times its 110293/,
    ],
  ])('of %s is refused', async (_, content, message) => {
    await expect(open(written(content))).rejects.toMatchObject({
      code: 'FILE_FORMAT',
      message: expect.stringMatching(message),
    })
  })
})

test('without h5wasm the error has the command that installs it', async () => {
  const folder = newFolder()
  cpSync(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true })
  for (const name of ['package.json', 'lib']) symlinkSync(path.join(root, name), path.join(folder, name))
  const program = pathToFileURL(path.join(folder, 'dist', 'weights', 'containers', 'hdf5.js')).href
  const copy = (await import(program)) as { openHdf5: typeof openHdf5 }
  await expect(copy.openHdf5(golden('hdf5-links.h5'))).rejects.toMatchObject({
    code: 'MISSING_TOOL',
    message: expect.stringContaining('npm install h5wasm'),
  })
})
