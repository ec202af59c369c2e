import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { embed, type PhotoList, photoDataset, Tensor, type VGG } from '../../lib/index.js'
import { VGG as Net } from '../../lib/vgg/vgg.js'
import { expectClose } from '../compare.js'
import { describeOnEach, float32Devices, opening } from '../devices.js'
import { formulaBytes } from '../reference/formula.js'
import { goldenParameters, readGolden } from '../reference/golden.js'
import { newFolder } from '../setup/folder.js'
import { packed } from '../setup/photos.js'

const golden = readGolden('embed')
const { sizes, scales, asked } = golden.case as unknown as {
  sizes: Record<string, [number, number]>
  scales: number[]
  asked: string[]
}

/** The images of the golden as PNG files in memory. */
async function images(): Promise<PhotoList> {
  const sources = await Promise.all(
    Object.entries(sizes).map(([name, [height, width]]) =>
      packed({ data: formulaBytes(`embed/${name}`, height * width * 3), height, width, channels: 3 })
        .png()
        .toBuffer(),
    ),
  )
  return { sources, names: Object.keys(sizes), labels: Int32Array.of(1, 0, 1), classNames: ['a', 'b'] }
}

describeOnEach(
  'embed',
  (device) => {
    const opened = async (): Promise<VGG> => {
      const { width, headWidth, classes, imageSize } = golden.case
      const shape = { variant: 'A', width, headWidth, classes, imageSize, scale: 1 / 64 } as const
      const net = await Net.create({ ...shape, ...opening[device] })
      for (const { name, shape, data } of goldenParameters(golden.case))
        await net.setParameter(name, Tensor.from(data, shape))
      return net
    }
    const pool = ['mean', 'max'] as const
    // images are resized in integers: a few pixels are rounded to the other side
    const resized = { relative: 1e-3 }

    it('equals PyTorch: whole images at two scales, mirrored too', async () => {
      using net = await opened()
      const list = await images()
      const layers = asked
      const mean = await embed(net, list, { layers, pool, scales, flip: true, normalise: 'none' })
      expectClose('mean', await mean.features.data(), golden.tensors.get('mean') as Float32Array, resized)
      expect(mean).toMatchObject({ labels: list.labels, names: list.names, unreadable: [] })
      const channels = mean.columns.map(({ layer, pool, start, length }) => [layer, pool, start, length])
      expect(channels).toEqual([
        ['relu7', 'mean', 0, 20],
        ['relu7', 'max', 20, 20],
        ['relu4_2', 'mean', 40, 32],
        ['relu4_2', 'max', 72, 32],
      ])
      const options = { layers, pool, scales, flip: true, aggregate: 'stack', transform: 'log1p' } as const
      const stacked = await embed(net, list, options)
      expect(stacked.features.shape).toEqual([3, 2, 104])
      const expected = golden.tensors.get('stack') as Float32Array
      expectClose('stack', await stacked.features.data(), expected, resized)
    })

    it('takes crops as evaluate does, and a vector as it is', async () => {
      using net = await opened()
      const list = await images()
      const data = photoDataset(list, net)
      const pixels = new Uint8Array(3 * 32 * 32 * 3)
      await data.read(Int32Array.of(0, 1, 2), pixels)
      const { fc7, relu3_1 } = await net.features(Tensor.from(pixels, [3, 32, 32, 3]), ['fc7', 'relu3_1'])
      const options = { layers: ['fc7', 'relu3_1'], pool, normalise: 'none' } as const
      for (const given of [list, data]) {
        const found = await embed(net, given, options)
        const [vectors, maps] = [await fc7.data(), await relu3_1.data()]
        const rows = Array.from({ length: 3 }, (_, image) => {
          const channels = Array.from({ length: 16 }, (_, c) =>
            maps.subarray((16 * image + c) * 64, (16 * image + c + 1) * 64),
          )
          const means = channels.map((values) => values.reduce((sum, value) => sum + value, 0) / 64)
          return [
            ...vectors.subarray(20 * image, 20 * image + 20),
            ...means,
            ...channels.map((values) => Math.max(...values)),
          ]
        })
        expectClose('crops', await found.features.data(), rows.flat(), { relative: 1e-6 })
        expect(found.columns.map(({ pool }) => pool)).toEqual(['none', 'mean', 'max'])
      }
      const unlabelled = await embed(net, list.sources, options)
      expect(await unlabelled.features.data()).toEqual(await (await embed(net, list, options)).features.data())
      expect(unlabelled.labels).toEqual(Int32Array.of(-1, -1, -1))
      expect(unlabelled.names).toEqual(['images[0]', 'images[1]', 'images[2]'])
      const usual = await embed(net, data)
      expect(usual.columns).toEqual([{ layer: 'relu7', pool: 'none', start: 0, length: 20 }])
      const values = await usual.features.data()
      for (let row = 0; row < 3; row++)
        expect(Math.hypot(...values.subarray(20 * row, 20 * row + 20))).toBeCloseTo(1, 6)
    })

    it('leaves out images that cannot be read, or throws', async () => {
      using net = await opened()
      const { sources, labels, classNames } = await images()
      const file = path.join(newFolder(), 'broken.png')
      writeFileSync(file, sources[0] as Uint8Array)
      writeFileSync(file, (sources[0] as Buffer).subarray(0, 200))
      const list = { sources: [file, ...sources.slice(1)], names: [file, 'second', 'third'], labels, classNames }
      for (const given of [{}, { scales }]) {
        await expect(embed(net, list, given)).rejects.toMatchObject({
          code: 'FILE_FORMAT',
          message: expect.stringContaining(file),
        })
        const found = await embed(net, list, { ...given, onUnreadable: 'skip' })
        expect(found.names).toEqual(['second', 'third'])
        expect(found.labels).toEqual(labels.slice(1))
        expect(found.unreadable).toMatchObject([{ index: 0, name: file }])
        const alone = await embed(
          net,
          { ...list, sources: sources.slice(1), names: ['b', 'c'], labels: labels.slice(1) },
          given,
        )
        expectClose('the others', await found.features.data(), await alone.features.data(), { relative: 1e-5 })
      }
    })

    it('reports progress, and ends when it is aborted', async () => {
      using net = await opened()
      const list = await images()
      const seen: number[] = []
      const many = { ...list, ...repeated(list, 12) }
      await embed(net, many, {
        scales: [40],
        batchSize: 8,
        onProgress: ({ done, of }) => void seen.push(of === 36 ? done : -1),
      })
      expect(seen).toEqual([...seen].sort((a, b) => a - b))
      expect(new Set(seen).size).toBeGreaterThan(3)
      expect(seen.at(-1)).toBe(36)
      const abort = new AbortController()
      const aborted = embed(net, many, { scales: [40], signal: abort.signal, onProgress: () => abort.abort() })
      await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    })

    it('refuses what it cannot compute', async () => {
      using net = await opened()
      const list = await images()
      const data = photoDataset(list, net)
      const refused: [Parameters<typeof embed>[1], Parameters<typeof embed>[2], string, string][] = [
        [list, { scales: [31] }, 'SHAPE_MISMATCH', 'those of 31x31 leave nothing of it'],
        [data, { scales: [64] }, 'INVALID_ARGUMENT', 'Expected a list of image files'],
        [list, { layers: ['fc7'], transform: 'log1p' }, 'INVALID_ARGUMENT', 'without values below 0'],
        [list, { layers: ['relu7', 'fc2'] }, 'INVALID_ARGUMENT', 'layers that differ'],
        [list, { layers: ['relu77'] }, 'INVALID_ARGUMENT', "did you mean 'relu7'?"],
        [list, { pool: [] }, 'INVALID_ARGUMENT', '1 to 256 ways of pooling'],
        [list, { scales: [64, 64] }, 'INVALID_ARGUMENT', 'scales that differ'],
        [list, { aggregate: 'stack' }, 'INVALID_ARGUMENT', "scales for aggregate: 'stack'"],
        [list, { scale: [64] } as object, 'INVALID_ARGUMENT', "did you mean 'scales'?"],
      ]
      for (const [given, options, code, message] of refused)
        await expect(embed(net, given, options)).rejects.toMatchObject({
          code,
          message: expect.stringContaining(message),
        })
    })

    it('names the image whose features are not finite', async () => {
      using net = await opened()
      for (const name of ['fc6.weight', 'fc7.weight'])
        await net.setParameter(
          name,
          Tensor.from(
            new Float32Array(name === 'fc6.weight' ? 640 : 400).fill(3e38),
            name === 'fc6.weight' ? [20, 32] : [20, 20],
          ),
        )
      const message = 'Expected finite features of wide but relu7 has a value that is not'
      await expect(embed(net, await images())).rejects.toMatchObject({ code: 'NOT_FINITE', message })
    })
  },
  float32Devices,
)

/** The images of a list several times. */
function repeated(
  { sources, names, labels }: PhotoList,
  times: number,
): Pick<PhotoList, 'sources' | 'names' | 'labels'> {
  const copies = Array.from({ length: times })
  return {
    sources: copies.flatMap(() => [...sources]),
    names: copies.flatMap((_, copy) => names.map((name) => `${name} ${copy}`)),
    labels: Int32Array.from(copies.flatMap(() => [...labels])),
  }
}
