import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gradCam, guidedBackprop, Network, occlusion, saliency, Tensor, type VGG } from '../../lib/index.js'
import { writePhotos } from '../setup/photos.js'
import { smallNet } from '../setup/stripes.js'
import { programMistakes } from './mistake.js'
import { untyped } from './small-net.js'

const folder = mkdtempSync(path.join(tmpdir(), 'vggnet-explain-'))
const at = (name: string): string => path.join(folder, name)
const images = (n: number, side = 32) => Tensor.from(new Uint8Array(n * side * side).fill(99), [n, side, side, 1])
let net: VGG
let unnamed: VGG
let trunk: VGG
beforeAll(async () => {
  net = await smallNet({ classNames: ['cat', 'dog', 'fox'] })
  unnamed = await smallNet()
  trunk = (await smallNet(untyped({ classes: undefined, headWidth: undefined, head: 'none' }))) as VGG
  await writePhotos(folder, ['good.png'])
  writeFileSync(at('bad.png'), 'no image')
})
afterAll(() => {
  for (const one of [net, unnamed, trunk]) one.dispose()
  rmSync(folder, { recursive: true })
})

const refused = (
  name: string,
  make: () => unknown,
  problem: string[],
  cure: string[],
  code = 'INVALID_ARGUMENT' as const,
) => ({
  name,
  make,
  code,
  problem,
  cure,
})

programMistakes('an explanation', [
  refused(
    'of a class out of range',
    () => gradCam(net, images(1), { class: 3 }),
    ['class', '3 (number)'],
    ['from 0 to 2'],
  ),
  refused('of half a class', () => saliency(net, images(1), { class: 0.5 }), ['class', '0.5'], ['from 0 to 2']),
  refused('of an unknown class', () => gradCam(net, images(1), { class: 'dgo' }), ["'dgo'"], ["did you mean 'dog'"]),
  refused(
    'of a name where classes have none',
    () => gradCam(unnamed, images(1), { class: 'cat' }),
    ["'cat'"],
    ['from 0 to 2'],
  ),
  refused(
    'of three classes for two images',
    () => gradCam(net, images(2), { class: [0, 1, 2] }),
    ['class'],
    ['2 classes, one for each image'],
  ),
  refused(
    'with a class out of range among several',
    () => gradCam(net, images(2), { class: [0, 7] }),
    ['class[1]'],
    ['from 0 to 2'],
  ),
  refused(
    'at an unknown layer',
    () => gradCam(net, images(1), { layer: 'relu5_3' }),
    ["'relu5_3'"],
    ["did you mean 'relu5_1'"],
  ),
  refused(
    'at a linear layer',
    () => gradCam(net, images(1), { layer: 'fc7' }),
    ["'fc7'"],
    ["the last convolution is 'relu5_2'"],
  ),
  refused(
    "at torchvision's linear layer",
    () => gradCam(net, images(1), { layer: 'classifier.3' }),
    ["'classifier.3'"],
    ["'relu5_2'"],
  ),
  refused(
    'with an option of another method',
    () => saliency(net, images(1), untyped({ layer: 'relu5_2' })),
    ["'layer'"],
    ['class, batch'],
  ),
  refused('of a network without a head', () => gradCam(trunk, images(1)), ['a head for gradCam'], ['replaceHead']),
  refused('by occlusion without a head', () => occlusion(trunk, images(1)), ['a head for occlusion'], ['replaceHead']),
  refused('of no network', () => guidedBackprop(untyped({}), images(1)), ['net'], ['a Network']),
  refused('of no image', () => gradCam(net, []), ['images'], ['at least one image']),
  refused('of a number', () => gradCam(net, untyped([7])), ['images[0]'], ['the path of an image']),
  refused(
    'with a patch larger than the image',
    () => occlusion(net, images(1), { patch: 33 }),
    ['patch'],
    ['from 1 to 32'],
  ),
  refused(
    'with gaps between patches',
    () => occlusion(net, images(1), { patch: 4, stride: 5 }),
    ['stride'],
    ['from 1 to 4'],
  ),
  refused(
    'with a patch of two channels',
    () => occlusion(net, images(1), { fill: [1, 2] }),
    ['fill'],
    ['one number, or 1'],
  ),
  {
    name: 'of images that are too small',
    make: () => gradCam(net, images(1, 16)),
    code: 'SHAPE_MISMATCH',
    problem: ['16x16'],
    cure: ['at least'],
  },
  {
    name: 'of a damaged file',
    make: () => gradCam(net, [at('good.png'), at('bad.png')]),
    code: 'FILE_FORMAT',
    problem: ['bad.png', 'it is text'],
    cure: ['Expected an image'],
  },
  {
    name: 'of a missing file',
    make: () => saliency(net, at('none.png')),
    code: 'FILE_NOT_FOUND',
    problem: ['none.png'],
    cure: ['No file at'],
  },
  {
    name: 'that is aborted',
    make: () => occlusion(net, images(1), { signal: AbortSignal.abort() }),
    code: 'ABORTED',
    problem: ['The explanation'],
    cure: ['aborted'],
  },
  {
    name: 'of a network of custom layers, from a file',
    make: async () => {
      const layers = [
        { kind: 'input', channels: 1, mean: [0], scale: [1] },
        { kind: 'convolution', name: 'conv', outputs: 2, kernel: 3, relu: 'relu' },
        { kind: 'linear', name: 'fc', outputs: 2, window: [8, 8] },
      ] as const
      using other = await Network.create({ layers, device: 'cpu' })
      expect((await gradCam(other, images(1, 8))).layer).toBe('relu')
      await gradCam(other, at('good.png'))
    },
    code: 'INVALID_ARGUMENT',
    problem: ['net', 'Network'],
    cure: ['a VGG'],
  },
])

test('the network remains usable after refused explanations, and a score that is not finite names the image', async () => {
  using own = await smallNet()
  const { name = '', shape = [], count = 0 } = own.parameters.find(({ name }) => name === 'fc8.weight') ?? {}
  await own.setParameter(name, Tensor.from(new Float32Array(count).fill(3e38), shape))
  for (const explain of [gradCam, saliency, occlusion])
    await expect(explain(own, images(1))).rejects.toMatchObject({ code: 'NOT_FINITE', message: /images\[0\]/ })
  await own.setParameter(name, Tensor.zeros(shape))
  expect((await gradCam(own, images(2), { class: '2' })).classes.map(({ index }) => index)).toEqual([2, 2])
})
