import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readCifar, readCifarFolder } from '../../lib/data/sources/cifar.js'
import { newFolder } from '../setup/folder.js'

/** Byte of image `n`, plane `channel`, at `position`. */
const byteAt = (n: number, channel: number, position: number) => (n * 50 + channel * 85 + position * 3) & 255

/** Records in the documented format: labels, then red, green and blue planes of 32x32, row by row. */
function records(labels: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    labels.map((own, n) =>
      Buffer.from([...own, ...Array.from({ length: 3072 }, (_, i) => byteAt(n, i >> 10, i & 1023))]),
    ),
  )
}

const ten = records([[3], [9], [0]])
const hundred = records([
  [1, 99],
  [19, 0],
])

function file(name: string, bytes: Uint8Array | string, folder = newFolder()): string {
  const position = path.join(folder, name)
  writeFileSync(position, bytes)
  return position
}

describe('readCifar', () => {
  test.each([
    ['plain', ten],
    ['gzip', gzipSync(ten)],
  ])('CIFAR-10, %s: labels, and planes made pixels', async (_name, bytes) => {
    const data = await readCifar(file('data_batch_1.bin', bytes))
    expect(data).toMatchObject({ count: 3, height: 32, width: 32, channels: 3 })
    expect([...data.labels]).toEqual([3, 9, 0])
    expect(data.classNames).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    const into = new Uint8Array(2 * 3072)
    await data.read(Int32Array.of(2, 0), into)
    const expected = [2, 0].flatMap((n) => Array.from({ length: 3072 }, (_, i) => byteAt(n, i % 3, Math.floor(i / 3))))
    expect([...into]).toEqual(expected)
  })

  test('several files in order, with the class names of the folder', async () => {
    const folder = newFolder()
    const names = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ')
    file('batches.meta.txt', `${names.join('\n')}\n\n`, folder)
    const files = [file('data_batch_1.bin', ten, folder), file('data_batch_2.bin', records([[7]]), folder)]
    const data = await readCifar(files)
    expect([[...data.labels], data.classNames]).toEqual([[3, 9, 0, 7], names])
  })

  test('CIFAR-100: fine labels, or the groups', async () => {
    const folder = newFolder()
    const train = file('train.bin', hundred, folder)
    expect([...(await readCifar(train)).labels]).toEqual([99, 0])
    const coarse = await readCifar(train, { labels: 'coarse' })
    expect([[...coarse.labels], coarse.classNames.length]).toEqual([[1, 19], 20])
    file('fine_label_names.txt', Array.from({ length: 100 }, (_, i) => `class ${i}`).join('\r\n'), folder)
    expect((await readCifar(train)).classNames[99]).toBe('class 99')
  })

  test('if the length fits both datasets, the labels decide', async () => {
    // 3074 records of 3073 bytes are as long as 3073 of 3074
    const alike = Buffer.alloc(3073 * 3074)
    for (let n = 0; n < 3074; n++) alike[n * 3073] = n % 10
    alike.fill(255, 1, 3073)
    const read = await readCifar(file('both.bin', alike))
    expect([read.count, read.classNames.length]).toEqual([3074, 10])
    await expect(readCifar(file('both.bin', alike), { kind: 'cifar-100' })).rejects.toThrow(/labels out of range/)
  })

  test.each([
    [
      'one byte short',
      ten.subarray(1),
      /3073 bytes \(cifar-10\) or 3074 bytes \(cifar-100\) for .* but it has 9218 bytes/,
    ],
    ['empty', Buffer.alloc(0), /it is empty/],
    ['a label out of range', records([[10], [1]]), /labels out of range/],
    ['a group out of range', records([[20, 5]]), /labels out of range/],
    ['a cut gzip', gzipSync(ten).subarray(0, -20), /whole gzip file/],
    [
      'the archive as it is distributed',
      Buffer.concat([Buffer.alloc(257), Buffer.from('ustar'), Buffer.alloc(250)]),
      /unpack it/,
    ],
  ])('%s is refused', async (_name, bytes, message) => {
    const position = file('bad.bin', bytes)
    const error = await readCifar(position).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'FILE_FORMAT', message: expect.stringMatching(message) })
    expect((error as Error).message).toContain(position)
  })

  test('files of both datasets, wrong names, a missing file and invalid options are rejected', async () => {
    const folder = newFolder()
    const one = file('data_batch_1.bin', ten, folder)
    await expect(readCifar([one, file('train.bin', hundred, folder)])).rejects.toThrow(
      /3073 bytes \(cifar-10\) for .*train.bin/,
    )
    await expect(readCifar(path.join(folder, 'none.bin'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(readCifar([])).rejects.toThrow(/at least one file/)
    await expect(readCifar(one, { labels: 'coarse' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(readCifar(one, { kind: 'cifar10' as 'cifar-10' })).rejects.toThrow(/did you mean 'cifar-10'/)
    file('batches.meta.txt', 'cat\ndog\n', folder)
    await expect(readCifar(one)).rejects.toThrow(/Expected 10 names for .*batches.meta.txt but it has 2/)
    const given = Array.from({ length: 10 }, (_, i) => `n${i}`)
    expect((await readCifar(one, { classNames: given })).classNames).toEqual(given)
  })

  test('a folder as distributed', async () => {
    const folder = newFolder()
    expect(await readCifarFolder(folder)).toBeUndefined()
    file('data_batch_2.bin', records([[5]]), folder)
    file('data_batch_1.bin.gz', gzipSync(ten), folder)
    expect((await readCifarFolder(folder))?.validation).toBeUndefined()
    file('test_batch.bin', records([[8]]), folder)
    const parts = await readCifarFolder(folder)
    expect([[...(parts?.training.labels ?? [])], [...(parts?.validation?.labels ?? [])]]).toEqual([[3, 9, 0, 5], [8]])
    await expect(readCifarFolder(path.join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })
})
