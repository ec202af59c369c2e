// Sizes that exceed any memory are refused by name before allocation; no product of them overflows.
import { expect, test } from 'vitest'
import type { Layer } from '../../lib/layer.js'
import { describe as describePlan } from '../../lib/network/describe.js'
import { Network } from '../../lib/network/network.js'
import { layersOf } from '../../lib/vgg/configuration.js'
import type { VggOptions } from '../../lib/vgg/options.js'
import { VGG } from '../../lib/vgg/vgg.js'
import { vggnet } from '../setup/command.js'

const input: Layer = { kind: 'input', channels: 3, mean: [0, 0, 0], scale: [1, 1, 1] }
const convolution = (name: string, outputs: number): Layer => ({ kind: 'convolution', name, outputs, kernel: 3 })
const linear = (name: string, outputs: number, side: number): Layer => {
  return { kind: 'linear', name, outputs, window: [side, side] }
}

const model = { variant: 'A', classes: 2, imageSize: 32 } as const

test.each<[string, Partial<VggOptions>, string, RegExp]>([
  [
    'width: 1e6',
    { width: 1e6 },
    'INVALID_ARGUMENT',
    /^Expected a number of at most 32768 for width but received 1000000 /,
  ],
  ['width: 1e12', { width: 1e12 }, 'INVALID_ARGUMENT', /at most 32768 for width/],
  [
    'the largest width that a layer has outputs for',
    { width: 32768 },
    'INVALID_ARGUMENT',
    /elements for the weight of layer 'conv3_1' but received 8388608 x 4194304 x 3 x 3; at most \d+ outputs fit; the parameters would take [\d.]+ PiB$/,
  ],
  ['a width that no memory holds', { width: 400 }, 'OUT_OF_MEMORY', /bytes are available/],
  [
    'a large head on large images',
    { imageSize: 2 ** 20, headWidth: 2 ** 20, width: 0.25 },
    'INVALID_ARGUMENT',
    /for the weight of layer 'fc6' but received 1048576 x 128 x 32768 x 32768; at most 2048 outputs fit; the parameters would take [\d.]+ PiB$/,
  ],
])('VGG.create refuses %s', async (_, options, code, message) => {
  const creation = VGG.create({ ...model, device: 'cpu', ...options })
  await expect(creation).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
})

test.each<[string, readonly Layer[], RegExp]>([
  [
    'a large window',
    [convolution('c', 65536), linear('l', 1, 2 ** 20)],
    /weight of layer 'l' .* 1 x 65536 x 1048576 x 1048576; the parameters would take [\d.]+ PiB$/,
  ],
  ['the largest window', [linear('l', 2 ** 24, 2 ** 24)], /weight of layer 'l'/],
  [
    'many large layers',
    Array.from({ length: 9 }, (_, index) => convolution(`c${index}`, 2 ** 22)),
    /for all parameters, .* up to 'c\d.weight'; the parameters would take [\d.]+ PiB$/,
  ],
])('Network.create refuses %s', async (_, layers, message) => {
  const creation = Network.create({ layers: [input, ...layers], device: 'cpu' })
  const error = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }
  await expect(creation).rejects.toMatchObject(error)
})

test.each<[string, readonly Layer[], readonly number[], RegExp]>([
  [
    'many images',
    layersOf(model),
    [2 ** 31 - 1, 3, 224, 224],
    /for the output of layer 'input' .*; at most 1869917734 images fit$/,
  ],
  ['large images', layersOf(model), [1, 3, 2 ** 31 - 1, 2 ** 31 - 1], /for the output of layer 'input'/],
  [
    'a wide window that slides far',
    [input, linear('l', 1, 2 ** 19)],
    [1, 3, 2 ** 20, 2 ** 20],
    /multiply-adds for layer 'l' but received 1 x 1 x 524289 x 524289 x 3 x 524288 x 524288$/,
  ],
])('describe refuses %s', (_, layers, shape, message) => {
  for (const training of [false, true]) {
    expect(() => describePlan({ layers, shape, training })).toThrow(message)
    expect(() => describePlan({ layers, shape, training })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  }
})

test('the command line refuses them too', async () => {
  const { code, stderr } = await vggnet(['describe', '--width', '1e6'])
  expect(stderr).toMatch(/^vggnet: INVALID_ARGUMENT: Expected a number of at most 32768 for width/)
  expect(code).toBe(2)
})
