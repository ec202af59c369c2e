import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { writeNpy } from '../../lib/embed/npy.js'
import {
  type Dataset,
  type EmbedProgress,
  type EmbedToFileOptions,
  embed,
  embedLike,
  embedToFile,
  FeatureFile,
  type PhotoList,
} from '../../lib/index.js'
import type { VGG } from '../../lib/vgg/vgg.js'
import { newFolder } from '../setup/folder.js'
import { kept } from '../setup/opened-nets.js'
import { writePhotos } from '../setup/photos.js'
import { smallNet, stripes } from '../setup/stripes.js'

const scales = [32, 40] as const

/** A list of image files, as many as whole images make three parts. */
async function photos(): Promise<{ folder: string; list: PhotoList }> {
  const folder = newFolder()
  const files = Array.from({ length: 70 }, (_, index) => `${index % 2}/${index}.png`)
  await writePhotos(folder, files)
  const sources = files.map((name) => path.join(folder, name))
  const labels = Int32Array.from(files, (_, index) => index % 2)
  return { folder, list: { sources, names: sources, labels, classNames: ['0', '1'] } }
}

/** Stops when so many images are done: those of whole parts. */
async function stoppedAfter(
  images: number,
  net: VGG,
  list: Dataset | PhotoList,
  file: string,
  options: EmbedToFileOptions,
) {
  const stop = new AbortController()
  const onProgress = ({ done }: EmbedProgress) => {
    if (done >= images) stop.abort()
  }
  await expect(embedToFile(net, list, file, { ...options, onProgress, signal: stop.signal })).rejects.toMatchObject({
    code: 'ABORTED',
  })
}

test('writes what embed computes, and the same bytes after interruptions', async () => {
  const net = kept(await smallNet())
  const { folder, list } = await photos()
  const [whole, stopped] = [path.join(folder, 'whole.safetensors'), path.join(folder, 'stopped.safetensors')]
  const options = { scales, flip: true, aggregate: 'stack', pool: ['mean', 'max'], model: '/m' } as const
  const first = await embedToFile(net, list, whole, options)
  expect(first).toMatchObject({ images: 70, resumed: 0, unreadable: [] })
  const features = await FeatureFile.open(whole)
  const { model: _, ...asked } = options
  const expected = await embed(net, list, asked)
  expect(await features.readRows(0, new Float32Array(70 * features.rowLength))).toEqual(await expected.features.data())
  expect(await features.readNames(0, 70)).toEqual(list.names)
  expect(await features.readLabels(0, 70)).toEqual(list.labels)
  expect(features.description).toMatchObject({ model: { path: '/m' }, scales, columns: expected.columns })
  await features.close()
  for (const images of [32, 64]) await stoppedAfter(images, net, list, stopped, options)
  expect(existsSync(stopped)).toBe(false)
  const second = await embedToFile(net, list, stopped, options)
  expect(second).toMatchObject({ images: 70, resumed: 64 })
  expect(readFileSync(stopped).equals(readFileSync(whole))).toBe(true)
  // nothing else is left
  expect(readdirSync(folder).sort()).toEqual(['0', '1', 'stopped.safetensors', 'whole.safetensors'])
})

test('refuses to continue with something else, and computes parts again whose images changed', async () => {
  const net = kept(await smallNet())
  const { folder, list } = await photos()
  const file = path.join(folder, 'f.safetensors')
  await stoppedAfter(64, net, list, file, { scales })
  const refused = async (options: EmbedToFileOptions, message: RegExp, by = net, of = list) => {
    const call = embedToFile(by, of, file, { scales, ...options })
    await expect(call).rejects.toMatchObject({ code: 'RESUME_MISMATCH', message: expect.stringMatching(message) })
  }
  await refused({ scales: [40] }, /scales is \[40\] and was \[32,40\].*f\.safetensors\.parts/)
  await refused({ flip: true }, /flip is true and was false/)
  await refused({ batchSize: 1 }, /batchPixels is 1024 and was/)
  await refused({}, /model sha256 is/, kept(await smallNet({ seed: 9 })))
  const fewer = { sources: list.sources.slice(1), names: list.names.slice(1), labels: list.labels.slice(1) }
  await refused({}, /images 0 count is 69 and was 70/, net, { ...list, ...fewer })
  // another content of one image of the first part, and a damaged second part
  const [image = ''] = list.names
  writeFileSync(image, readFileSync(list.names[1] ?? ''))
  utimesSync(image, 1, 1)
  const part = path.join(`${file}.parts`, 'part-000001.safetensors')
  const bytes = readFileSync(part)
  bytes[bytes.length - 200] = (bytes[bytes.length - 200] ?? 0) ^ 1
  writeFileSync(part, bytes)
  expect(await embedToFile(net, list, file, { scales })).toMatchObject({ resumed: 0 })
  const fresh = path.join(folder, 'fresh.safetensors')
  await embedToFile(net, list, fresh, { scales })
  expect(readFileSync(fresh).equals(readFileSync(file))).toBe(true)
})

test('takes images of a dataset, and notices other pixels', async () => {
  const net = kept(await smallNet())
  const file = path.join(newFolder(), 'f.safetensors')
  const data = stripes(600, 1)
  const options = { batchSize: 128 }
  await stoppedAfter(256, net, data, file, options)
  const changed = {
    ...data,
    read: async (indices: Int32Array, into: Uint8Array) => {
      const failed = await data.read(indices, into)
      for (const [position, index] of indices.entries())
        if (index === 3) into[position * 1024] = 255 - (into[position * 1024] ?? 0)
      return failed
    },
  }
  expect(await embedToFile(net, changed, file, options)).toMatchObject({ resumed: 0, images: 600 })
  await stoppedAfter(256, net, data, file, options)
  expect(await embedToFile(net, data, file, options)).toMatchObject({ resumed: 256 })
})

test('replaces features only, one process at a time', async () => {
  const net = kept(await smallNet())
  const { folder, list } = await photos()
  const [other, file] = [path.join(folder, 'other'), path.join(folder, 'f.safetensors')]
  writeFileSync(other, 'mine')
  await expect(embedToFile(net, list, other)).rejects.toMatchObject({ code: 'FILE_WRITE' })
  expect(readFileSync(other, 'utf8')).toBe('mine')
  expect(existsSync(`${other}.parts`)).toBe(false)
  const both = await Promise.allSettled([embedToFile(net, list, file), embedToFile(net, list, file)])
  expect(both.map((one) => (one.status === 'rejected' ? one.reason.code : 'written')).sort()).toEqual([
    'FOLDER_IN_USE',
    'written',
  ])
  await embedToFile(net, list, file, { normalise: 'none' })
  const missing = embedToFile(net, { ...list, sources: [async () => Buffer.alloc(0), ...list.sources.slice(1)] }, file)
  await expect(missing).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('embeds queries as the file was embedded, by its network only', async () => {
  const net = kept(await smallNet())
  const { folder, list } = await photos()
  for (const [name, options] of Object.entries({ dense: { scales, flip: true }, crops: { layers: ['relu5_1'] } })) {
    const file = path.join(folder, `${name}.safetensors`)
    await embedToFile(net, list, file, { ...options, batchSize: 1 })
    const features = await FeatureFile.open(file)
    const bytes = readFileSync(list.names[7] ?? '')
    const [seventh = '', missing] = [list.names[7], path.join(folder, 'none.png')]
    const found = await embedLike(net, features.description, [seventh, missing, bytes])
    const row = await features.readRows(7, new Float32Array(features.rowLength))
    const values = await found.features.data()
    for (const at of [0, 1])
      values.subarray(at * row.length, (at + 1) * row.length).forEach((value, index) => {
        expect(value).toBeCloseTo(row[index] ?? 0, 5)
      })
    expect(found.names).toEqual([seventh, 'images[2]'])
    expect(found.unreadable).toMatchObject([{ name: missing, index: 1 }])
    const other = kept(await smallNet({ seed: 5 }))
    const refused = embedLike(other, features.description, [bytes])
    await expect(refused).rejects.toMatchObject({ code: 'HASH_MISMATCH', message: expect.stringContaining('hash') })
    await features.close()
  }
})

test('writes NumPy arrays', async () => {
  const net = kept(await smallNet())
  const file = path.join(newFolder(), 'f.safetensors')
  const data = stripes(5, 1)
  await embedToFile(net, data, file, { layers: ['relu7'] })
  await writeNpy(file)
  const array = (name: string) => {
    const bytes = readFileSync(path.join(path.dirname(file), name))
    const start = 10 + bytes.readUInt16LE(8)
    expect([bytes.subarray(0, 8).toString('latin1'), start % 64, bytes[start - 1]]).toEqual([
      '\x93NUMPY\x01\x00',
      0,
      10,
    ])
    return { header: bytes.toString('latin1', 10, start).trim(), bytes: new Uint8Array(bytes.subarray(start)) }
  }
  const features = await FeatureFile.open(file)
  const { rowLength } = features
  const { header, bytes } = array('f.npy')
  expect(header).toBe(`{'descr': '<f4', 'fortran_order': False, 'shape': (5, ${rowLength}), }`)
  expect(new Float32Array(bytes.buffer)).toEqual(await features.readRows(0, new Float32Array(5 * rowLength)))
  await features.close()
  const labels = array('f.labels.npy')
  expect(labels.header).toBe("{'descr': '<i8', 'fortran_order': False, 'shape': (5,), }")
  expect(Array.from(new BigInt64Array(labels.bytes.buffer), Number)).toEqual(Array.from(data.labels))
})
