import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type LoadOptions, load, Tensor, type VGG } from '../../lib/index.js'
import { expectClose } from '../compare.js'
import { type Golden, goldenImages, readGolden } from '../reference/golden.js'

const path = (name: string): string => fileURLToPath(new URL(`../golden/foreign/${name}`, import.meta.url))

/** What a network computes of a golden's images, beside what the library computed. */
async function expectGolden(net: VGG, golden: Golden, taps: readonly string[]): Promise<void> {
  const { shape, data } = goldenImages(golden.case)
  const computed = await net.features(Tensor.from(data, shape), taps)
  for (const tap of taps) {
    const expected = golden.tensors.get(tap) as Float32Array
    expectClose(tap, await (computed[tap] as Tensor<'float32'>).data(), expected, { relative: 1e-4 })
  }
}

async function loaded(name: string, options: LoadOptions, use: (net: VGG) => Promise<void>): Promise<void> {
  const net = await load(path(name), options)
  try {
    await use(net)
  } finally {
    net.dispose()
  }
}

const pools = ['pool1', 'pool2', 'pool3', 'pool4', 'pool5']
const all = [...pools, 'fc6', 'fc7', 'fc8']

describe('weights of torchvision and timm', () => {
  it.each([
    ['torchvision-D-stream.pth', 'torchvision-D', 'torchvision'],
    ['torchvision-A-nested.pth', 'torchvision-A', 'torchvision'],
    ['torchvision-A-shared.pth', 'torchvision-A', 'torchvision'],
    ['torchvision-A-tar.pth', 'torchvision-A', 'torchvision'],
    ['timm-A.safetensors', 'timm-A', 'timm'],
  ])('%s gives what the library computes', async (name, golden, source) => {
    await loaded(name, {}, async (net) => {
      await expectGolden(net, readGolden(`foreign/${golden}-results`), all)
      expect(net.origin?.source).toBe(source)
    })
  })

  it('without a head gives the features', async () => {
    await loaded('torchvision-D-stream.pth', { head: 'none' }, (net) =>
      expectGolden(net, readGolden('foreign/torchvision-D-results'), pools),
    )
  })
})
