import { expect, it } from 'vitest'
import { gradCam, guidedBackprop, occlusion, saliency, Tensor, type VGG } from '../../lib/index.js'
import { VGG as Net } from '../../lib/vgg/vgg.js'
import { expectClose } from '../compare.js'
import { describeOnEach, float32Devices, opening } from '../devices.js'
import { formulaValues } from '../reference/formula.js'
import { goldenImages, goldenParameters, readGolden } from '../reference/golden.js'

const golden = readGolden('grad-cam')
const chosen = (golden.case as unknown as { chosen: number }).chosen
const expected = (name: string): Float32Array => golden.tensors.get(name) as Float32Array

/** The images of the golden: of the network's size, and a larger one. */
function imagesOf(size: 'own' | 'larger'): Tensor<'float32'> {
  if (size === 'larger')
    return Tensor.from(formulaValues(`${golden.case.stream}/larger`, 3 * 96 * 80, 7), [1, 3, 96, 80])
  const { data, shape } = goldenImages(golden.case)
  return Tensor.from(data as Float32Array, shape)
}

describeOnEach(
  'explanations',
  (device) => {
    const opened = async (): Promise<VGG> => {
      const { width, headWidth, classes, imageSize } = golden.case
      const net = await Net.create({
        variant: 'A',
        width,
        headWidth,
        classes,
        imageSize,
        scale: 1 / 64,
        ...opening[device],
      })
      for (const { name, shape, data } of goldenParameters(golden.case))
        await net.setParameter(name, Tensor.from(data, shape))
      return net
    }

    it.each(['own', 'larger'] as const)('equal those of pytorch-grad-cam, for images of the %s size', async (size) => {
      using net = await opened()
      const images = imagesOf(size)
      for (const layer of ['conv4_2', 'pool4', 'relu5_2'] as const)
        for (const which of ['predicted', 'chosen'] as const) {
          const found = await gradCam(net, images, { layer, batch: 1, ...(which === 'chosen' && { class: chosen }) })
          const name = `${size}/layer/${layer}/${which}`
          expectClose(name, await found.layerMaps.data(), expected(name), { relative: 1e-4 })
          const map = `${size}/maps/${layer}/${which}`
          expectClose(map, await found.maps.data(), expected(map), { relative: 1e-4 })
          const scores = expected(`${size}/scores`)
          found.classes.forEach(({ index, score }, image) => {
            const own = scores.subarray(image * 10, image * 10 + 10)
            expect(index).toBe(which === 'chosen' ? chosen : own.indexOf(Math.max(...own)))
            expect(score).toBeCloseTo(own[index] ?? 0, 3)
          })
        }
      const gradients = await saliency(net, images, { class: chosen })
      expectClose('gradients', await gradients.gradients.data(), expected(`${size}/gradients`), { relative: 1e-4 })
      const guided = await guidedBackprop(net, images, { class: chosen })
      expectClose('guided', await guided.gradients.data(), expected(`${size}/guided`), { relative: 1e-4 })
    })
    it('saliency agrees with finite differences of the score', async () => {
      using net = await opened()
      const images = imagesOf('own')
      const { gradients, maps } = await saliency(net, images, { class: [1, chosen] })
      const gradient = await gradients.data()
      const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const direction = gradient.map((value) => value / largest)
      const along = async (step: number) => {
        const moved = (await images.data()).map((value, index) => value + step * (direction[index] ?? 0))
        const scores = await (await net.forward(Tensor.from(moved, images.shape))).data()
        return (scores[1] ?? 0) + (scores[10 + chosen] ?? 0)
      }
      const slope = ((await along(0.5)) - (await along(-0.5))) / 1
      expect(gradient.reduce((sum, value, index) => sum + value * (direction[index] ?? 0), 0) / slope).toBeCloseTo(1, 1)
      const map = await maps.data()
      for (const pixel of [0, 777, 4095]) {
        const channels = [0, 1, 2].map((channel) => Math.abs(gradient[channel * 4096 + pixel] ?? 0))
        expect(map[pixel]).toBe(Math.max(...channels))
      }
    })

    it('occlusion is the drop of the score under each patch, and its mean over the patches of a pixel', async () => {
      using net = await opened()
      const images = imagesOf('own')
      const options = { patch: 24, stride: 20, fill: [10, 20, 30], class: chosen } as const
      const { drops, maps, classes } = await occlusion(net, images, { ...options, batch: 4 })
      // 0, 20 and 40, where the patch ends with the image
      expect(drops.shape).toEqual([2, 3, 3])
      const [values, map] = [await drops.data(), await maps.data()]
      const drop = async (top: number, left: number) => {
        const copy = (await images.data()).slice()
        for (let channel = 0; channel < 3; channel++)
          for (let row = top; row < top + 24; row++)
            copy.fill(
              options.fill[channel] ?? 0,
              (channel * 64 + row) * 64 + left,
              (channel * 64 + row) * 64 + left + 24,
            )
        const scores = await (await net.forward(Tensor.from(copy, images.shape))).data()
        return (classes[0]?.score ?? 0) - (scores[chosen] ?? 0)
      }
      expect(values[1]).toBeCloseTo(await drop(0, 20), 4)
      expect(values[8]).toBeCloseTo(await drop(40, 40), 4)
      expect(map[0]).toBe(values[0])
      expect(map[22]).toBeCloseTo(((values[0] ?? 0) + (values[1] ?? 0)) / 2, 5)
      const bytes = Tensor.from(
        Uint8Array.from({ length: 64 * 64 * 3 }, (_, index) => (index * 7) % 256),
        [1, 64, 64, 3],
      )
      const floats = await planes(bytes)
      const [a, b] = [await occlusion(net, bytes, { fill: 100 }), await occlusion(net, floats, { fill: 100 })]
      expectClose('of bytes', await a.drops.data(), await b.drops.data(), { relative: 1e-4, absolute: 1e-4 })
    })
  },
  float32Devices,
)

/** The float32 tensor of a uint8 one. */
async function planes(bytes: Tensor<'uint8'>): Promise<Tensor<'float32'>> {
  const [n = 0, h = 0, w = 0, c = 0] = bytes.shape
  const data = await bytes.data()
  const values = Float32Array.from(data, (_, index) => data[(index % (h * w)) * c + Math.floor(index / (h * w))] ?? 0)
  return Tensor.from(values, [n, c, h, w])
}
