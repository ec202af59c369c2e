import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { idxDataset, readIdx } from '../../lib/data/sources/idx.js'
import { idxBytes } from '../setup/idx-bytes.js'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggnet-idx-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const position = path.join(folder, name)
  await writeFile(position, bytes)
  return position
}

const images = Uint8Array.from({ length: 2 * 3 * 4 }, (_, index) => index * 7)

describe('readIdx', () => {
  test.each(['plain', 'gzip'])('%s: shape and every byte', async (form) => {
    const bytes = idxBytes([2, 3, 4], images)
    const position = await file(`images-${form}`, form === 'gzip' ? gzipSync(bytes) : bytes)
    const read = await readIdx(position)
    expect(read.shape).toEqual([2, 3, 4])
    expect(read.data).toEqual(images)
  })

  test('a file larger than one chunk of the stream', async () => {
    const large = Uint8Array.from({ length: 50 * 200 * 300 }, (_, index) => (index * 31) >> 3)
    const read = await readIdx(await file('large.gz', gzipSync(idxBytes([50, 200, 300], large))))
    expect(Buffer.compare(read.data, large)).toBe(0)
  })

  const whole = idxBytes([2, 3, 4], images)
  const changed = (at: number, value: number): Uint8Array => whole.map((byte, index) => (index === at ? value : byte))
  test.each([
    ['empty', new Uint8Array(0), /ends after 0 bytes/],
    ['a cut header', whole.subarray(0, 9), /ends after 9 bytes/],
    ['one byte short', whole.subarray(0, -1), /Expected 40 bytes .*2x3x4.* ends after 39/],
    ['one byte more', Buffer.concat([whole, Buffer.of(0)]), /Expected 40 bytes .* more follow/],
    ['other magic', changed(0, 1), /Expected an IDX file .* begins with 01000803/],
    ['unknown type', changed(2, 10), /begins with 00000a03/],
    ['floats', changed(2, 13), /of type float/],
    ['no dimension', changed(3, 0), /its header says 0/],
    ['five dimensions', changed(3, 5), /its header says 5/],
    ['an axis of 0', changed(7, 0), /0x3x4/],
    ['a header that asks for gigabytes', changed(4, 0x0f), /ends after 40/],
    ['a header that asks for more than memory', idxBytes([2 ** 31, 2 ** 31, 4], images), /2147483648x2147483648x4/],
    ['a cut gzip', gzipSync(whole).subarray(0, -9), /whole gzip file/],
    ['a damaged gzip', gzipSync(whole).map((byte, index) => (index === 12 ? byte ^ 0xff : byte)), /whole gzip file/],
    ['a gzip with too much in it', gzipSync(Buffer.concat([whole, new Uint8Array(1 << 22)])), /more follow/],
    ['PNG', Buffer.from('89504e470d0a1a0a', 'hex'), /but it is a PNG image/],
  ])('%s is refused', async (name, bytes, message) => {
    const position = await file(`bad-${name.replaceAll(' ', '-')}`, bytes)
    const error = await readIdx(position).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(message) })
    expect((error as Error).message).toContain(position)
  })

  test('a missing file and a folder are rejected', async () => {
    await expect(readIdx(path.join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(readIdx(folder)).rejects.toMatchObject({ code: 'FILE_FORMAT' })
  })
})

describe('idxDataset', () => {
  test('labels belong to their images', async () => {
    const imagesFile = await file('set-images', idxBytes([2, 3, 4], images))
    const labels = await file('set-labels', idxBytes([2], Uint8Array.of(4, 1)))
    const data = await idxDataset({ images: imagesFile, labels })
    expect(data).toMatchObject({ count: 2, height: 3, width: 4, channels: 1, classNames: ['0', '1', '2', '3', '4'] })
    expect([...data.labels]).toEqual([4, 1])
    const into = new Uint8Array(24)
    await data.read(Int32Array.of(1, 0), into)
    expect([...into]).toEqual([...images.subarray(12), ...images.subarray(0, 12)])
  })

  test('channels are the last axis', async () => {
    const imagesFile = await file('colour-images', idxBytes([2, 2, 2, 3], images))
    const labels = await file('colour-labels', idxBytes([2], Uint8Array.of(0, 0)))
    expect(await idxDataset({ images: imagesFile, labels })).toMatchObject({ height: 2, width: 2, channels: 3 })
  })

  test('differing counts, images as labels, and a label out of range are rejected', async () => {
    const imagesFile = await file('two', idxBytes([2, 3, 4], images))
    const three = await file('three', idxBytes([3], Uint8Array.of(0, 1, 2)))
    const two = await file('pair', idxBytes([2], Uint8Array.of(0, 9)))
    await expect(idxDataset({ images: imagesFile, labels: three })).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
    await expect(idxDataset({ images: imagesFile, labels: imagesFile })).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(idxDataset({ images: three, labels: three })).rejects.toMatchObject({ code: 'FILE_FORMAT' })
    await expect(idxDataset({ images: imagesFile, labels: two, classNames: ['a', 'b'] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('labels[1]'),
    })
  })
})
