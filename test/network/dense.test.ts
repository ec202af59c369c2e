import { expect, test } from 'vitest'
import { Network } from '../../lib/network/network.js'
import { Tensor } from '../../lib/tensor.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { describeOnEach, float32Devices, opening } from '../devices.js'
import { difference } from './small.js'

// Sect. 3.2: over a larger image the fully connected layers slide.
const classes = 7
const narrow = { variant: 'A', classes, width: 1 / 16, headWidth: 24, seed: 5, exact: true } as const

/** The window of 7x7 at (top, left) of a map of one image, [1, c, h, w]. */
async function windowOf(map: Tensor<'float32'>, top: number, left: number): Promise<Tensor<'float32'>> {
  const [, channels = 0, height = 0, width = 0] = map.shape
  const values = await map.data()
  const crop = new Float32Array(channels * 49)
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < 7; y++)
      for (let x = 0; x < 7; x++)
        crop[(c * 7 + y) * 7 + x] = values[(c * height + top + y) * width + left + x] ?? Number.NaN
  return Tensor.from(crop, [1, channels, 7, 7])
}

// Not in bf16: the same numbers, but with another rounding of what is handed from one network to the other.
describeOnEach(
  'dense evaluation',
  (device) => {
    test('each element of the class map is the output of the head for its window', async () => {
      const net = await VGG.create({ ...narrow, ...opening[device] })
      const image = Tensor.randn([1, 3, 256, 290], { seed: 1, mean: 120, std: 60 })
      const { pool5, fc8 } = await net.features(image, ['pool5', 'fc8'])
      if (pool5 === undefined || fc8 === undefined) throw new Error('a tap is missing')
      expect(pool5.shape).toEqual([1, 32, 8, 9])
      expect(fc8.shape).toEqual([1, classes, 2, 3])
      expect((await net.forward(image)).shape).toEqual(fc8.shape)

      const input = { kind: 'input', channels: 32, mean: Array(32).fill(0), scale: Array(32).fill(1) } as const
      const head = await Network.create({ layers: [input, ...net.layers.slice(-3)], ...opening[device] })
      await head.initialiseFrom(net, { layers: ['fc6', 'fc7', 'fc8'] })
      const map = await fc8.data()
      for (let top = 0; top < 2; top++)
        for (let left = 0; left < 3; left++) {
          const scores = await (await head.forward(await windowOf(pool5, top, left))).data()
          const position = Float32Array.from({ length: classes }, (_, c) => map[(c * 2 + top) * 3 + left] ?? Number.NaN)
          expect(difference(scores, position)).toBeLessThan(1e-5)
        }
      head.dispose()
      net.dispose()
    })

    test('at 224 dense evaluation equals ordinary evaluation', async () => {
      const net = await VGG.create({ ...narrow, ...opening[device] })
      const dense = await Network.create({
        layers: [...net.layers, { kind: 'spatial-mean', name: 'mean' }],
        ...opening[device],
      })
      await dense.initialiseFrom(net, { layers: 'all' })
      const images = Tensor.randn([2, 3, 224, 224], { seed: 2, mean: 120, std: 60 })
      const [ordinary, averaged] = [await net.forward(images), await dense.forward(images)]
      expect(ordinary.shape).toEqual([2, classes])
      expect(averaged.shape).toEqual([2, classes])
      expect(difference(await averaged.data(), await ordinary.data())).toBeLessThan(1e-5)

      // and over a larger image the mean of the map
      const larger = Tensor.randn([1, 3, 288, 256], { seed: 3, mean: 120, std: 60 })
      const map = await (await net.forward(larger)).data()
      const mean = Float32Array.from(
        { length: classes },
        (_, c) => map.slice(c * 6, c * 6 + 6).reduce((a, b) => a + b) / 6,
      )
      expect(difference(await (await dense.forward(larger)).data(), mean)).toBeLessThan(1e-5)
      net.dispose()
      dense.dispose()
    })
  },
  float32Devices,
)
